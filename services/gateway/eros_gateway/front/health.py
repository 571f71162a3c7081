"""Looks at every part at once, at most so often; tells what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from eros.scheduler.v1 import scheduler_pb2
from eros_common import telemetry
from eros_common.clocks import Clock
from eros_gateway.domain.wellness import Component, Status, overall
from eros_gateway.front.ports import Cache, CacheState, Night, NightSeen, PartDown, Probe

T = TypeVar("T")

EVERY_SECONDS: Final = 5.0
"""So often the parts are asked where it is measured, whether or not somebody asks."""
NOBODY_SECONDS: Final = 300.0
"""Workers are made when there are jobs for them; where there is none for so long, that is ill."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at ``at`` (monotonic). ``night`` and ``cache`` are None where they are down."""

    at: float
    seconds: float
    components: Mapping[str, Component]
    night: scheduler_pb2.GetOverviewResponse | None
    cache: CacheState | None

    @property
    def status(self) -> Status:
        return overall(self.components)


class Health:
    """The state of every part, remembered for ``keep_seconds``."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        night: Night,
        cache: Cache,
        clock: Clock,
        *,
        keep_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._probes = probes
        self._night = night
        self._cache = cache
        self._clock = clock
        self._keep = keep_seconds
        self._timeout = timeout_seconds
        self._one_at_a_time = asyncio.Lock()
        self._last: Look | None = None
        self._began = clock.monotonic()
        self._unserved_since: float | None = None
        """Since when jobs are ready and no worker is there; monotonic."""
        self._status = telemetry.meter().create_gauge(
            "eros.gateway.part_up", unit="1", description="1: the part serves, 0: it is down"
        )

    @property
    def uptime(self) -> float:
        """Seconds."""
        return self._clock.monotonic() - self._began

    def age(self, look: Look) -> float:
        """Seconds since that look."""
        return self._clock.monotonic() - look.at

    async def run(self) -> None:
        """For ever: what is measured is true also while nobody asks."""
        while True:
            if telemetry.measuring():
                await self.look()
            await self._clock.sleep(EVERY_SECONDS)

    async def look(self) -> Look:
        """How everything is, as of a moment ago."""
        async with self._one_at_a_time:
            if self._last is None or self.age(self._last) >= self._keep:
                self._last = await self._fresh()
            return self._last

    async def _fresh(self) -> Look:
        began = self._clock.monotonic()
        # A group: whoever asked may hang up, and then no probe may be left running, because the
        # next look uses the same connections.
        async with asyncio.TaskGroup() as group:
            asked = {
                name: group.create_task(self._ask(probe())) for name, probe in self._probes.items()
            }
            asked_night = group.create_task(self._ask(self._night.overview()))
            asked_cache = group.create_task(self._ask(self._cache.state()))
        (seen, of_night), (cache, of_cache) = asked_night.result(), asked_cache.result()
        components = {name: task.result()[1] for name, task in asked.items()}
        components["workers"] = self._workers(seen, of_night)
        components["cache"] = of_cache
        for name, part in components.items():
            # A pause, or a pool that lags, has measures and alerts of its own.
            self._status.set(int(part.status is not Status.DOWN), {"part": name})
        now = self._clock.monotonic()
        night = None if seen is None else seen.overview
        return Look(now, now - began, components, night, cache)

    async def _ask(self, question: Awaitable[T]) -> tuple[T | None, Component]:
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await question
        except PartDown as fault:
            return None, self._component(began, Status.DOWN, str(fault))
        except TimeoutError:
            message = f"no answer for {self._timeout:g} s"
            return None, self._component(began, Status.DOWN, message)
        return answer, self._component(began, Status.OK)

    def _component(self, began: float, status: Status, message: str = "") -> Component:
        return Component(status, (self._clock.monotonic() - began) * 1000, message)

    def _workers(self, seen: NightSeen | None, asked: Component) -> Component:
        """The pool of workers, as the schedulers see it."""
        if seen is None:
            return replace(asked, message=f"the scheduler does not tell ({asked.message})")
        unserved = self._unserved(seen.overview)
        if seen.silent:
            message = f"a scheduler does not tell ({'; '.join(seen.silent.values())})"
        elif pause := seen.overview.pause_reason:
            message = f"paused: {pause}"
        elif unserved > NOBODY_SECONDS:
            message = f"no worker is connected, and jobs wait for {unserved:.0f} s"
        else:
            return asked
        return replace(asked, status=Status.DEGRADED, message=message)

    def _unserved(self, night: scheduler_pb2.GetOverviewResponse) -> float:
        """For how many seconds jobs have been ready with no worker there. None there is no fault:
        while nobody sleeps there is nothing to do, and the pool is scaled to that."""
        if night.workers or not any(kind.ready for kind in night.kinds):
            self._unserved_since = None
            return 0.0
        now = self._clock.monotonic()
        if self._unserved_since is None:
            # No longer than they could have been claimed, and not before the last look.
            before = self._began if self._last is None else self._last.at
            self._unserved_since = max(before, now - night.queue_age_seconds)
        return now - self._unserved_since
