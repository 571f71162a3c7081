"""A real Valkey Cluster under everything that uses Valkey, also while it changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest
from redis.exceptions import RedisError

from eros.activity.v1 import activity_pb2 as pb
from eros_advice.prepared import prepared_key
from eros_assistant.domain.conversations import ConversationId
from eros_assistant.store_cache import ValkeyConversations
from eros_common.auth.revocation import RevocationMirror, Revocations
from eros_common.cache_reads import CacheReads, read_counts
from eros_common.ids import SessionId, UserId, new_user_id
from eros_common.redis import open_redis, ping, used_bytes
from eros_common.testing import FakeClock, TestTokens
from eros_gateway.console.history import PeopleHistory
from eros_matcher.ports import ListKind
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.work.advising import keep
from tests.integration.activity.service import (
    Activity,
    StreamEnded,
    Watcher,
    activity,
    users,
)
from tests.support.cluster import ValkeyCluster, valkey_cluster

WOKE = pb.TRANSITION_KIND_WOKE
SLOTS_OF_SHARDS = (13907, 9842, 5649, 1584)


async def test_caches_of_every_service(valkey_cluster_url: str) -> None:
    people = [new_user_id() for _ in range(40)]
    async with open_redis(valkey_cluster_url, app="test", retries=0) as client:
        reads = CacheReads(client, FakeClock())
        lists = ValkeyLists(client, reads)
        await lists.put([(kind, user, b"list") for kind in ListKind for user in people])
        found = [await lists.get(kind, user) for kind in ListKind for user in people]
        assert found == [b"list"] * 80
        assert await lists.drop(people)
        assert await lists.get(ListKind.DAILY, people[0]) is None

        await keep(client, [(user, b"night") for user in people])
        conversations = ValkeyConversations(client, reads)
        talk = ConversationId(new_user_id())
        assert await conversations.prepared(people[0]) == b"night"
        assert await conversations.forget(people[0], talk, 3)
        await conversations.fill(people[0], talk, 2, b"old")
        assert await conversations.get(people[0], talk) is None
        await conversations.fill(people[0], talk, 3, b"page")
        assert await conversations.get(people[0], talk) == b"page"
        owed: Any = [
            {"user_id": user, "conversation_id": conversation}
            for user, conversation in [(people[0], talk), *((user, UUID(int=0)) for user in people)]
        ]
        assert await conversations.drop_owed(owed)
        assert await client.exists(*(prepared_key(user) for user in people)) == 0

        history = PeopleHistory(client)
        await history.note(1_790_000_000.0, (1, 2, 3, 4))
        assert [people for _, people in await history.last_day()] == [(1, 2, 3, 4)]
        await ping(client)
        assert await used_bytes(client) > 3_000_000  # of three servers
        assert await read_counts(client) == {}


async def test_an_ended_session_is_refused_at_once_everywhere(valkey_cluster_url: str) -> None:
    until = datetime.now(UTC) + timedelta(minutes=15)
    async with (
        open_redis(valkey_cluster_url, app="accounts") as writing,
        open_redis(valkey_cluster_url, app="gateway") as reading,
    ):
        # So rarely polled that only the channel can bring it in time.
        mirror = RevocationMirror(reading, poll_seconds=30)
        following = asyncio.create_task(mirror.run())
        try:
            await mirror.ready()
            async with asyncio.timeout(10):
                # Who has not subscribed yet hears nothing: that is what the poll is for.
                while "ended" not in mirror:
                    await Revocations(writing).revoke(SessionId("ended"), until)
                    await asyncio.sleep(0.05)
            assert "other" not in mirror
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def test_people_fall_asleep_and_wake_on_three_primaries(
    valkey_cluster_url: str, valkey_cluster_server: ValkeyCluster
) -> None:
    tokens, people = TestTokens(), users(40)
    async with activity(valkey_cluster_url, tokens) as replica:
        await replica.touch(*((user, time.time() - 3600) for user in people))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: set(w.asleep) == set(people))
            for user in people:
                await replica.heartbeat(user, app_active=True, screen_on=True)
            await watcher.until(lambda w: not w.asleep)
            assert [watcher.happened(user) for user in people] == [[WOKE]] * 40
        assert (await replica.stats()).known_users == 40
    held = [
        await node.command("CLUSTER", "COUNTKEYSINSLOT", slot)
        for slot in SLOTS_OF_SHARDS
        for node in valkey_cluster_server.nodes
        if node.first <= slot <= node.last
    ]
    assert min(held) >= 3, "each shard has its people, events and state"


async def test_a_shard_that_moves_to_another_node_pauses_the_night_and_loses_nobody(
    tmp_path: Path,
) -> None:
    tokens, people = TestTokens(), users(40)
    async with (
        valkey_cluster(tmp_path) as cluster,
        activity(cluster.url, tokens, stream_silence_seconds=1.0) as replica,
    ):
        await replica.touch(*((user, time.time() - 3600) for user in people))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: set(w.asleep) == set(people))
        source, target = cluster.nodes[2], cluster.nodes[0]
        there = (await target.command("CLUSTER", "MYID")).decode()
        await source.command(
            *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE"),
            *(SLOTS_OF_SHARDS[0], SLOTS_OF_SHARDS[0], "NODE", there),
        )
        async with asyncio.timeout(10):
            while not await target.command("CLUSTER", "COUNTKEYSINSLOT", SLOTS_OF_SHARDS[0]):
                await asyncio.sleep(0.05)
        await _until_touched(replica, people[0])
        watcher = await _until_paused(replica, lambda w: bool(w.asleep))
        assert set(watcher.asleep) == set(people[1:])
        assert (await replica.stats()).known_users == 40


async def test_a_primary_that_dies_blinds_the_night_until_it_is_back(tmp_path: Path) -> None:
    tokens, people = TestTokens(), users(40)
    async with (
        valkey_cluster(tmp_path) as cluster,
        activity(cluster.url, tokens, stream_silence_seconds=0.4) as replica,
    ):
        await replica.touch(*((user, time.time() - 3600) for user in people))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: set(w.asleep) == set(people))
            await cluster.nodes[0].kill()
            await watcher.until(lambda w: w.paused_until > time.time())
        async with open_redis(cluster.url, app="test", retries=0) as client:
            with pytest.raises(RedisError):
                await client.get("{3}")
            with pytest.raises(RedisError):
                await ping(client)
        await cluster.nodes[0].start()
        await cluster.until_whole()
        await _until_touched(replica, people[0])
        # What the dead one knew is lost, for it kept nothing on a disk; the others are there.
        watcher = await _until_paused(replica, lambda w: len(w.asleep) <= 35)
        assert len(watcher.asleep) >= 5


async def _until_paused(replica: Activity, seen: Callable[[Watcher], bool]) -> Watcher:
    """A snapshot with the pause that follows when a shard's past is another one."""

    def found(watcher: Watcher) -> bool:
        return watcher.snapshot_ended and watcher.paused_until > time.time() + 30 and seen(watcher)

    while True:
        async with replica.watch() as watcher:
            with suppress(StreamEnded):
                return await watcher.until(found)


async def _until_touched(replica: Activity, user: UserId) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await replica.heartbeat(user, app_active=True, screen_on=True)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)
            else:
                return
