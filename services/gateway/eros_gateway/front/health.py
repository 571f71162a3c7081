"""Looks at every part at once, at most so often; tells what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from eros.scheduler.v1 import scheduler_pb2
from eros_common import telemetry
from eros_common.clocks import Clock
from eros_gateway.domain.wellness import Component, Status, overall
from eros_gateway.front.ports import Cache, CacheState, Night, PartDown, Probe

T = TypeVar("T")


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
        self._status = telemetry.meter().create_gauge(
            "eros.gateway.part_up", unit="1", description="1: the part is well, 0: it is not"
        )

    @property
    def uptime(self) -> float:
        """Seconds."""
        return self._clock.monotonic() - self._began

    def age(self, look: Look) -> float:
        """Seconds since that look."""
        return self._clock.monotonic() - look.at

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
        (night, of_night), (cache, of_cache) = asked_night.result(), asked_cache.result()
        components = {name: task.result()[1] for name, task in asked.items()}
        components["workers"] = _workers(night, of_night)
        components["cache"] = of_cache
        for name, part in components.items():
            self._status.set(int(part.status is Status.OK), {"part": name})
        now = self._clock.monotonic()
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


def _workers(night: scheduler_pb2.GetOverviewResponse | None, asked: Component) -> Component:
    """The pool of workers, as the scheduler sees it."""
    if night is None:
        return replace(asked, message=f"the scheduler does not tell ({asked.message})")
    if not night.workers:
        return replace(asked, status=Status.DOWN, message="no worker is connected")
    if night.pause_reason:
        return replace(asked, status=Status.DEGRADED, message=f"paused: {night.pause_reason}")
    return asked
