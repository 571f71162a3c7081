"""What every watcher is shown: gathered once a second, for all of them together, and only while
there are any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import grpc

from eros.activity.v1 import activity_pb2
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros.gateway.v1 import console_pb2 as pb
from eros.scheduler.v1 import scheduler_pb2
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import logging
from eros_common.clocks import Clock
from eros_gateway.console import wire
from eros_gateway.console.history import PeopleHistory
from eros_gateway.front.health import Health

log = logging.get("gateway.console")
T = TypeVar("T")

EVERY_SECONDS: Final = 1.0
_HISTORY_SECONDS: Final = 30.0
_HALTS: Final = 24
_DEAD: Final = 50
_TIMEOUT: Final = 2.0


class Feed:
    """`run` it in the background; `watch` gives one message after the other."""

    def __init__(
        self,
        health: Health,
        scheduler: SchedulerServiceStub,
        activity: ActivityServiceStub,
        history: PeopleHistory,
        clock: Clock,
    ) -> None:
        self._health = health
        self._scheduler = scheduler
        self._activity = activity
        self._history = history
        self._clock = clock
        self._watchers = 0
        self._somebody = asyncio.Event()
        self._news = asyncio.Event()
        self._latest: pb.WatchResponse | None = None

    async def run(self) -> None:
        """For ever. Without watchers only the sample of the minute is taken."""
        while True:
            if self._watchers:
                self._latest = await self._gather()
                news, self._news = self._news, asyncio.Event()
                news.set()
                await self._clock.sleep(EVERY_SECONDS)
                continue
            self._latest = None
            await self._people()
            self._somebody.clear()
            if not self._watchers:
                try:
                    async with asyncio.timeout(_HISTORY_SECONDS):
                        await self._somebody.wait()
                except TimeoutError:
                    continue

    async def watch(self, stopping: asyncio.Event) -> AsyncIterator[pb.WatchResponse]:
        """The night until the service stops; the first message has the last day too."""
        with self._watching():
            first = True
            while not stopping.is_set():
                news, message = self._news, self._latest
                if message is not None:
                    if first:
                        told = pb.WatchResponse()
                        told.CopyFrom(message)
                        told.history.extend(map(wire.sample, await self._history.last_day()))
                        message, first = told, False
                    yield message
                await _either(news, stopping)

    @contextmanager
    def _watching(self) -> Any:
        self._watchers += 1
        self._somebody.set()
        try:
            yield
        finally:
            self._watchers -= 1

    async def _gather(self) -> pb.WatchResponse:
        look, people, halts, dead = await asyncio.gather(
            self._health.look(), self._people(), self._halts(), self._dead()
        )
        message = pb.WatchResponse(
            people=people,
            halts=map(wire.halt, halts),
            dead=map(wire.dead_job, dead),
            components={name: part.status.value for name, part in look.components.items()},
        )
        message.sent_at.FromDatetime(self._clock.wall())
        if look.night is not None:
            message.night.CopyFrom(look.night)
        if look.cache is not None:
            message.cache.extend(
                pb.CacheSeen(key=key, hits=reads.hits, misses=reads.misses)
                for key, reads in look.cache.reads.items()
            )
        return message

    async def _people(self) -> list[int]:
        call = self._activity.CountPeople
        answer = await _asked(lambda: call(activity_pb2.CountPeopleRequest(), timeout=_TIMEOUT))
        if answer is None:
            return []
        stats = answer.stats
        people = [stats.awake, stats.phase1, stats.phase2, stats.phase3]
        await self._history.note(self._clock.wall().timestamp(), people)
        return people

    async def _halts(self) -> list[scheduler_pb2.Halt]:
        request = scheduler_pb2.ListHaltsRequest(limit=_HALTS)
        answer = await _asked(lambda: self._scheduler.ListHalts(request, timeout=_TIMEOUT))
        return [] if answer is None else list(answer.halts)

    async def _dead(self) -> list[scheduler_pb2.Job]:
        request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_DEAD, limit=_DEAD)
        answer = await _asked(lambda: self._scheduler.ListJobs(request, timeout=_TIMEOUT))
        return [] if answer is None else list(answer.jobs)


async def _asked(call: Callable[[], Any]) -> Any:
    """The answer; None where there is none, which the parts' states tell."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        log.debug("not_answered", code=error.code().name, details=error.details())
        return None


async def _either(*events: asyncio.Event) -> None:
    waits: list[asyncio.Task[Any]] = [asyncio.create_task(_wait(event)) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _wait(event: asyncio.Event) -> Coroutine[Any, Any, Any]:
    return event.wait()
