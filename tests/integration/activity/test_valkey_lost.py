"""Valkey away, restarted, or emptied: nobody's sleep is trusted for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from eros.activity.v1 import activity_pb2 as pb
from eros_common.testing import TestTokens
from tests.integration.activity.network import network_to
from tests.integration.activity.own_valkey import own_valkey
from tests.integration.activity.service import Activity, StreamEnded, Watcher, activity, users

WOKE = pb.TRANSITION_KIND_WOKE
QUICK = {"stream_silence_seconds": 0.4}


@asynccontextmanager
async def watch_again(replica: Activity, cursor: str = "") -> AsyncIterator[Watcher]:
    """As a scheduler does it, until there is a snapshot: streams end for as long as the service has
    not seen that its store is back."""
    while True:
        async with replica.watch(cursor) as watcher:
            try:
                await watcher.until(lambda w: w.snapshot_ended)
            except StreamEnded:
                continue
            yield watcher
            return


async def test_restarted_with_its_data(tmp_path: Path, tokens: TestTokens) -> None:
    [user] = users(1)
    seen = time.time() - 3600
    async with own_valkey(tmp_path) as valkey, activity(valkey.url, tokens, **QUICK) as replica:
        await replica.touch((user, seen))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: w.snapshot_ended)
            await valkey.write_down()
            await valkey.kill()
            await valkey.start()
            assert await watcher.end() is grpc.StatusCode.UNAVAILABLE
        async with watch_again(replica, watcher.cursor) as watcher:
            await watcher.until(lambda w: w.paused_until > time.time() + 55)
            # Idle clocks ran on.
            assert watcher.asleep == {user: pytest.approx(seen, abs=1e-3)}
            assert watcher.watched_since < time.time()


async def test_restarted_without_its_data(tmp_path: Path, tokens: TestTokens) -> None:
    [user] = users(1)
    async with (
        own_valkey(tmp_path, durable=False) as valkey,
        activity(valkey.url, tokens, **QUICK) as replica,
    ):
        await replica.touch((user, time.time() - 3600))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: w.snapshot_ended and user in w.asleep)
            watched_since = watcher.watched_since
            await valkey.kill()
            await valkey.start()
            assert await watcher.end() is grpc.StatusCode.UNAVAILABLE
        async with watch_again(replica, watcher.cursor) as watcher:
            await watcher.until(lambda w: w.paused_until > 0)
            assert watcher.asleep == {}
            assert watched_since < watcher.watched_since <= time.time()
            # People are known again as they come, with idle clocks from when watching began.
            await replica.heartbeat(user)
            assert (await replica.stats()).known_users == 1


async def test_emptied_between_two_sweeps(valkey_url: str, tokens: TestTokens) -> None:
    from tests.support.stores import empty_valkey

    [user] = users(1)
    async with activity(valkey_url, tokens, sweep_seconds=30.0) as replica:
        await empty_valkey(valkey_url)
        await replica.heartbeat(user)
        assert (await replica.stats()).known_users == 1


async def test_away_for_long_pauses_without_its_help(tmp_path: Path, tokens: TestTokens) -> None:
    asleep, awake = users(2)
    async with own_valkey(tmp_path) as valkey, activity(valkey.url, tokens, **QUICK) as replica:
        await replica.touch((asleep, time.time() - 3600))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: w.snapshot_ended)
            await valkey.write_down()
            await valkey.kill()
            await watcher.until(lambda w: w.paused_until > 0)
            # Signs of life that come now are kept until it is back.
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await replica.heartbeat(awake)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await replica.stats()
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            await valkey.start()
            assert await watcher.end() is grpc.StatusCode.UNAVAILABLE
        async with asyncio.timeout(15):
            while (stats := await replica.stats()).known_users < 2:
                await asyncio.sleep(0.02)
        assert stats.awake == 1
        assert stats.paused_until.ToNanoseconds() / 1e9 > time.time()
        async with watch_again(replica) as watcher:
            await watcher.until(lambda w: w.paused_until > 0)


@asynccontextmanager
async def _demoted(admin: Any) -> AsyncIterator[None]:
    """As by a planned failover; of nobody, so that its data are not replaced."""
    await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    await admin.execute_command("REPLICAOF", "NO", "ONE")


@asynccontextmanager
async def _without_replicas(admin: Any) -> AsyncIterator[None]:
    await admin.config_set("min-replicas-to-write", 1)
    yield
    await admin.config_set("min-replicas-to-write", 0)


@asynccontextmanager
async def _busy(admin: Any) -> AsyncIterator[None]:
    await admin.config_set("busy-reply-threshold", 1)
    script = asyncio.create_task(admin.eval("while true do end", 0))
    yield
    await admin.script_kill()
    with pytest.raises(ResponseError):
        await script


@pytest.mark.parametrize("refusing", [_demoted, _without_replicas, _busy])
async def test_refusing_for_a_while_is_as_good_as_away(
    tmp_path: Path,
    tokens: TestTokens,
    refusing: Callable[[Any], AbstractAsyncContextManager[None]],
) -> None:
    [user] = users(1)
    async with (
        own_valkey(tmp_path) as valkey,
        Redis.from_url(valkey.url) as admin,
        activity(valkey.url, tokens, **QUICK) as replica,
    ):
        await replica.touch((user, time.time() - 3600))
        async with replica.watch() as watcher:
            await watcher.until(lambda w: w.snapshot_ended)
            async with refusing(admin):
                heartbeat = asyncio.create_task(replica.heartbeat(user))
                await watcher.until(lambda w: w.paused_until > 0)
                assert not heartbeat.done()
            await heartbeat
        async with watch_again(replica) as watcher:
            await watcher.until(lambda w: user not in w.asleep)


async def test_a_primary_that_was_demoted_is_left(tmp_path: Path, tokens: TestTokens) -> None:
    asleep, awake = users(2)
    async with (
        own_valkey(tmp_path / "first") as first,
        own_valkey(tmp_path / "second") as second,
        Redis.from_url(first.url) as old,
        Redis.from_url(second.url) as new,
        network_to(first.address) as name,
        activity(first.url.replace(first.address, name.address), tokens, **QUICK) as replica,
    ):
        await replica.touch((asleep, time.time() - 3600))
        await second.follow(first)
        await new.replicaof("NO", "ONE")
        await new.config_set("requirepass", first.password)
        name.target = second.address
        async with _demoted(old), asyncio.timeout(15):
            await replica.heartbeat(awake)
            assert (await replica.stats()).known_users == 2
        assert await new.exists(*await new.keys("activity:*:people"))


async def test_nobody_watched_while_every_replica_was_down(
    valkey_url: str, tokens: TestTokens
) -> None:
    async with activity(valkey_url, tokens, **QUICK):
        pass
    await asyncio.sleep(0.6)  # this very gap is what is tested
    async with activity(valkey_url, tokens, **QUICK) as replica, replica.watch() as watcher:
        await watcher.until(lambda w: w.paused("nobody watched"))
        assert watcher.messages == 1


async def test_data_of_another_number_of_shards_are_refused(
    valkey_url: str, tokens: TestTokens
) -> None:
    async with activity(valkey_url, tokens, activity_shards=2):
        pass
    with pytest.raises(Exception, match=r"sweep|LAYOUT|shard"):
        async with activity(valkey_url, tokens, activity_shards=8):
            pass
