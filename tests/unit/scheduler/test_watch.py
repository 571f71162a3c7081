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
        self.touched: list[pb.TouchRequest] = []
        self.look_up = asyncio.Event()
        self.looked_up = 0
        self.away = False

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not happened():
                await asyncio.sleep(0)

    def WatchTransitions(self, *_: Any, **__: Any) -> World:
        return self

    async def read(self) -> pb.WatchTransitionsResponse:
        return await self.messages.get()

    def cancel(self) -> None: ...

    async def Touch(self, request: pb.TouchRequest) -> None:
        self.touched.append(request)

    def post(self, event: ev.Event) -> None:
        self.posted.append(type(event))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[World]:
        yield self

    async def finish(self) -> tuple[()]:
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
