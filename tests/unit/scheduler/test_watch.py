"""What follows from a snapshot goes on beside the stream, which is read on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eros.activity.v1 import activity_pb2 as pb
from eros_common.ids import UserId
from eros_common.testing import FakeClock
from eros_scheduler.core import events as ev
from eros_scheduler.ports import StoreUnavailableError
from eros_scheduler.watch import INTRODUCED_AGAIN_SECONDS, Watch
from tests.unit.scheduler.rig import person

SNAPSHOT = pb.WatchTransitionsResponse(
    snapshot=True, snapshot_end=True, cursor="1", watched_since=1e9
)
WOKE = pb.WatchTransitionsResponse(
    cursor="2",
    transitions=[
        pb.Transition(user_id=person(1).bytes, kind=pb.TRANSITION_KIND_WOKE, at=1e9, touched_at=1e9)
    ],
)


class World:
    """Everybody around the watch: activity, its stream, the engine, the job rows."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.started.set()
        self.messages: asyncio.Queue[pb.WatchTransitionsResponse] = asyncio.Queue()
        self.posted: list[type] = []
        self.told: list[UserId] = []
        self.cursors: list[str] = []
        self.level = asyncio.Event()
        self.level.set()
        self.finishing = False
        self.touched: list[pb.TouchRequest] = []
        self.look_up = asyncio.Event()
        self.looked_up = 0
        self.away = False
        self.torn = False

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not happened():
                await asyncio.sleep(0)

    def WatchTransitions(self, request: pb.WatchTransitionsRequest, **_: Any) -> World:
        self.cursors.append(request.cursor)
        return self

    async def read(self) -> pb.WatchTransitionsResponse:
        return await self.messages.get()

    def cancel(self) -> None: ...

    async def Touch(self, request: pb.TouchRequest) -> None:
        self.touched.append(request)

    def post(self, event: ev.Event) -> None:
        self.posted.append(type(event))
        if isinstance(event, ev.Transitioned):
            self.told += [transition.user_id for transition in event.transitions]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[World]:
        yield self

    async def finish(self) -> tuple[()]:
        self.finishing = True
        await self.level.wait()
        if self.torn:
            raise StoreUnavailableError("cut off")
        return ()

    async def tidy(self) -> None: ...

    async def unheard(self, _: object) -> list[UserId]:
        self.looked_up += 1
        await self.look_up.wait()
        if self.away:
            raise StoreUnavailableError("cut off")
        return [person(2)]


@asynccontextmanager
async def watching(world: Any, clock: FakeClock) -> AsyncIterator[None]:
    watch = Watch(world, world, world, clock, silence_seconds=30.0)
    running = asyncio.create_task(watch.run())
    yield
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_wake_behind_the_snapshot_waits_for_no_look_up() -> None:
    world = World()
    async with watching(world, FakeClock()):
        await world.messages.put(SNAPSHOT)
        await world.until(lambda: world.looked_up == 1)
        await world.messages.put(WOKE)
        await world.until(lambda: ev.Transitioned in world.posted)
        world.look_up.set()
        await world.until(lambda: len(world.touched) == 1)
    assert [each.at for each in world.touched[0].interactions] == [1e9]


async def test_a_wake_waits_for_nobody_elses_and_a_sleep_for_them() -> None:
    world = World()
    world.level.clear()
    both = pb.WatchTransitionsResponse()
    both.CopyFrom(WOKE)
    both.transitions.add(
        user_id=person(3).bytes, kind=pb.TRANSITION_KIND_ASLEEP, at=1e9, touched_at=0
    )
    async with watching(world, FakeClock()):
        await world.messages.put(SNAPSHOT)
        await world.until(lambda: world.finishing)
        await world.messages.put(both)
        await world.until(lambda: world.told == [person(1)])
        assert ev.SnapshotEnded not in world.posted
        world.level.set()
        await world.until(lambda: world.told == [person(1), person(3)])
        assert world.posted.index(ev.SnapshotEnded) < len(world.posted) - 1
        # The read that was begun meanwhile is the next one.
        later = pb.WatchTransitionsResponse()
        later.CopyFrom(WOKE)
        later.transitions[0].user_id = person(4).bytes
        await world.messages.put(later)
        await world.until(lambda: world.told[2:] == [person(4)])
    assert world.cursors == [""]


async def test_a_snapshot_that_comes_meanwhile_is_taken_next() -> None:
    world = World()
    world.level.clear()
    async with watching(world, FakeClock()):
        await world.messages.put(SNAPSHOT)
        await world.until(lambda: world.finishing)
        await world.messages.put(SNAPSHOT)
        await world.messages.put(WOKE)
        for _ in range(10):
            await asyncio.sleep(0)
        assert world.told == []
        world.level.set()
        await world.until(lambda: world.posted.count(ev.SnapshotEnded) == 2)
        await world.until(lambda: world.told == [person(1)])


async def test_after_a_snapshot_that_failed_everything_is_asked_for_again() -> None:
    world, clock = World(), FakeClock()
    world.level.clear()
    async with watching(world, clock):
        await world.messages.put(SNAPSHOT)
        await world.until(lambda: world.finishing)
        await world.messages.put(WOKE)
        await world.until(lambda: world.told == [person(1)])
        world.torn = True
        world.level.set()
        await clock.slept()
        clock.advance(1)
        await world.until(lambda: len(world.cursors) == 2)
    assert world.cursors == ["", ""]
    assert ev.SnapshotEnded not in world.posted


async def test_a_look_up_that_fails_is_tried_again() -> None:
    world, clock = World(), FakeClock()
    world.away = True
    world.look_up.set()
    async with watching(world, clock):
        await world.messages.put(SNAPSHOT)
        await clock.slept()
        world.away = False
        clock.advance(INTRODUCED_AGAIN_SECONDS)
        await world.until(lambda: len(world.touched) == 1)
    assert world.looked_up == 2


async def test_another_snapshot_ends_what_the_one_before_began() -> None:
    world = World()
    async with watching(world, FakeClock()):
        await world.messages.put(SNAPSHOT)
        await world.until(lambda: world.looked_up == 1)
        later = pb.WatchTransitionsResponse()
        later.CopyFrom(SNAPSHOT)
        later.watched_since = 2e9
        await world.messages.put(later)
        await world.until(lambda: world.posted.count(ev.SnapshotEnded) == 2)
        world.look_up.set()
        await world.until(lambda: len(world.touched) == 1)
    assert [each.at for each in world.touched[0].interactions] == [2e9]
