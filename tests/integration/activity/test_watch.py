"""Who fell asleep and who woke, as schedulers see it."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from itertools import pairwise

import grpc
import pytest

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc
from eros_common.channel import open_channel
from eros_common.testing import TestTokens
from tests.integration.activity.service import Activity, Watcher, activity, users

ASLEEP, WOKE = pb.TRANSITION_KIND_ASLEEP, pb.TRANSITION_KIND_WOKE


def ended(watcher: Watcher) -> bool:
    return watcher.snapshot_ended


async def test_a_snapshot_of_thousands(replica: Activity) -> None:
    people = users(9000)
    seen = time.time() - 3600
    for start in range(0, len(people), 3000):
        await replica.touch(*((user, seen) for user in people[start : start + 3000]))
    async with replica.watch() as watcher:
        await watcher.until(ended)
        assert set(watcher.asleep) == set(people)
        assert set(watcher.asleep.values()) == {seen}
        assert watcher.messages > 1
        assert watcher.watched_since == pytest.approx(time.time(), abs=60)


async def test_a_wake_is_pushed_at_once(replica: Activity) -> None:
    people = users(40)
    await replica.touch(*((user, time.time() - 3600) for user in people))
    async with replica.watch() as watcher:
        await watcher.until(ended)
        delays = []
        for user in people:
            before = time.time()
            heartbeat = asyncio.create_task(replica.heartbeat(user))
            await watcher.until(lambda w, user=user: w.happened(user) == [WOKE])  # type: ignore[misc]
            delays.append(time.time() - before)
            await heartbeat
            assert before <= watcher.events[-1].touched_at <= time.time()
        # Alone on a machine it is 2 ms. What comes by the way, with the next message of each half
        # second, is a quarter of a second late.
        assert sorted(delays)[len(delays) // 2] < 0.1


async def test_resuming_loses_nothing_and_doubles_nothing(replica: Activity) -> None:
    people = users(300)
    await replica.touch(*((user, time.time() - 3600) for user in people))
    watcher = Watcher(None)
    async with replica.watch() as first:
        await first.until(ended)
        watcher.cursor = first.cursor

    async def wake_all() -> None:
        for user in people:
            await replica.heartbeat(user)

    waking = asyncio.create_task(wake_all())
    events: list[pb.Transition] = []
    streams = 0
    while len(events) < len(people):
        async with replica.watch(watcher.cursor) as watcher:
            # A few messages each, then the connection is cut.
            await watcher.until(lambda w: len(w.events) >= 7 or w.messages > 3)
            events += watcher.events
            streams += 1
            assert not watcher.snapshot_ended
    await waking
    assert sorted(e.user_id for e in events) == sorted(user.bytes for user in people)
    assert streams > 3
    async with replica.watch(watcher.cursor) as watcher:
        for _ in range(2):
            assert not (await watcher.next()).transitions


async def test_two_replicas_sweep_at_once_and_each_tells_all_once(
    valkey_url: str, tokens: TestTokens
) -> None:
    # A night second each millisecond: ten idle minutes take 0.6 s.
    night = {
        "night_epoch": "2026-03-02T23:00:00Z",
        "night_t0": "2026-11-01T00:00:00Z",
        "night_rate": 1000.0,
        "sweep_seconds": 0.01,
    }
    people = users(2000)
    async with AsyncExitStack() as stack:
        replicas = [
            await stack.enter_async_context(activity(valkey_url, tokens, **night)) for _ in "12"
        ]
        watchers = [await stack.enter_async_context(r.watch()) for r in replicas]
        for watcher in watchers:
            await watcher.until(ended)
        await replicas[0].touch(*((user, 0) for user in people[:1000]))
        await replicas[1].touch(*((user, 0) for user in people[1000:]))
        for watcher in watchers:
            await watcher.until(lambda w: len(w.asleep) == len(people))
        # People touched at one replica wake for the watchers of the other.
        assert await replicas[0].touch(*((user, 0) for user in people[:100])) == 100
        for watcher in watchers:
            await watcher.until(lambda w: sum(e.kind == WOKE for e in w.events) == 100)
            happened: dict[bytes, list[int]] = defaultdict(list)
            for event in watcher.events:
                happened[event.user_id].append(event.kind)
            assert len(happened) == len(people)
            for kinds in happened.values():
                # Asleep once, woke once, asleep once more: nothing twice in a row.
                assert kinds[0] == ASLEEP
                assert all(a != b for a, b in pairwise(kinds)), kinds


async def test_a_cursor_goes_on_at_another_replica(valkey_url: str, tokens: TestTokens) -> None:
    [user] = users(1)
    async with activity(valkey_url, tokens) as first:
        async with first.watch() as watcher:
            await watcher.until(ended)
        await first.touch((user, time.time() - 3600))
    async with activity(valkey_url, tokens) as second, second.watch(watcher.cursor) as resumed:
        await resumed.until(lambda w: w.happened(user) == [ASLEEP])
        assert not resumed.snapshot_ended


async def test_a_senseless_cursor_gives_a_snapshot(replica: Activity) -> None:
    [user] = users(1)
    await replica.touch((user, time.time() - 3600))
    async with replica.watch("0-0") as watcher:
        await watcher.until(ended)
        assert set(watcher.asleep) == {user}


async def test_events_no_longer_kept_give_a_snapshot(valkey_url: str, tokens: TestTokens) -> None:
    people = users(5000)
    async with activity(valkey_url, tokens, events_kept_seconds=0.01) as replica:
        async with replica.watch() as watcher:
            await watcher.until(ended)
            old = watcher.cursor
        await replica.touch(*((user, time.time() - 3600) for user in people))
        async with asyncio.timeout(20):
            while not watcher.asleep.keys() >= set(people):
                async with replica.watch(old) as watcher:
                    # Until a sweep has dropped them, they are told one by one.
                    await watcher.until(lambda w: w.snapshot_ended or bool(w.events))


async def test_many_watchers_hear_all_and_often(replica: Activity) -> None:
    people = users(20)
    await replica.touch(*((user, time.time() - 3600) for user in people))
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(replica.watch()) for _ in range(30)]
        await asyncio.gather(*(w.until(ended) for w in watchers))
        for user in people:
            await replica.heartbeat(user)
        await asyncio.gather(*(w.until(lambda w: len(w.events) == 20) for w in watchers))
        # Then it is quiet: a message each half second all the same.
        started = time.monotonic()
        messages = await asyncio.gather(*(w.next() for w in watchers))
        assert time.monotonic() - started < 2
        assert all(m.HasField("sent_at") and m.cursor for m in messages)


async def test_streams_end_when_the_service_stops(valkey_url: str, tokens: TestTokens) -> None:
    async with activity(valkey_url, tokens, stop_grace_seconds=30.0) as replica:
        channel = open_channel(replica.address, retry=False)
        call = activity_pb2_grpc.ActivityServiceStub(channel).WatchTransitions(
            pb.WatchTransitionsRequest(), metadata=tokens.service("scheduler", "activity")
        )
        watcher = await Watcher(call).until(ended)
        ending = asyncio.create_task(watcher.end())
        started = time.monotonic()
    assert await ending is grpc.StatusCode.OK
    assert time.monotonic() - started < 15  # nobody waits for the grace to pass
    await channel.close()
