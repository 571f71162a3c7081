"""Discrete events: one heap, and processes that crash, freeze and have clocks of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

AT_ONCE: Final = 5_000_000
"""More events at one moment are no crowd but a circle: everybody's first are some a person."""

_Event = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class StandsStill(Exception):
    """What happens makes itself happen again, at the same moment, for ever."""


class Loop:
    """`now` is seconds since the start; events of the same moment happen in the order in which
    they were asked for."""

    __slots__ = ("_heap", "_number", "now", "start", "steps")

    def __init__(self, start: datetime) -> None:
        self.start = start.timestamp()
        self.now = 0.0
        self.steps = 0
        self._heap: list[_Event] = []
        self._number = 0

    def at(self, when: float, call: Callable[..., None], *args: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (when, self._number, call, args))

    def after(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        self.at(self.now + seconds, call, *args)

    def run(self, until: float) -> None:
        """Raises ``StandsStill`` where time would not go on."""
        heap = self._heap
        allowed = self.steps + AT_ONCE
        while heap and heap[0][0] <= until:
            when, _, call, args = heapq.heappop(heap)
            if when != self.now:
                self.now, allowed = when, self.steps + AT_ONCE
            self.steps += 1
            if self.steps > allowed:
                raise StandsStill(f"{AT_ONCE:,} events at {self.now} s, the last {call!r}")
            call(*args)
        self.now = until


class Process:
    """What its events are bound to: none of them happens after it died, and those of a frozen one
    wait until it thaws, in order. `skew`: seconds its clock is ahead."""

    def __init__(self, loop: Loop, name: str, skew: float) -> None:
        self.loop = loop
        self.name = name
        self.skew = skew
        self.alive = False
        self.frozen_until = 0.0
        self.life = 0

    @property
    def frozen(self) -> bool:
        return self.frozen_until > self.loop.now

    def begin(self) -> None:
        self.alive = True

    def die(self) -> None:
        self.alive = False
        self.frozen_until = 0.0
        self.life += 1

    def freeze(self, seconds: float) -> None:
        """Stand still. What fell due meanwhile happens after `thawed`."""
        if not self.frozen:
            self.frozen_until = self.loop.now + seconds
            self.at(self.frozen_until, self.thawed, seconds)

    def thawed(self, seconds: float) -> None:
        """Called first when the process goes on."""

    def at(self, when: float, call: Callable[..., None], *args: Any) -> None:
        self.loop.at(when, self._do, self.life, call, args)

    def after(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        self.loop.at(self.loop.now + seconds, self._do, self.life, call, args)

    def later(self, life: int, seconds: float, call: Callable[..., None], *args: Any) -> None:
        """As `after`, for what was begun in that life."""
        self.loop.at(self.loop.now + seconds, self._do, life, call, args)

    def _do(self, life: int, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if life != self.life:
            return
        if self.frozen_until > self.loop.now:
            self.loop.at(self.frozen_until, self._do, life, call, args)
            return
        call(*args)

    def wall(self) -> float:
        """Seconds since 1970, as this process believes."""
        return self.loop.start + self.loop.now + self.skew

    def instant(self) -> datetime:
        """`wall` as an instant; night time, too."""
        return instant(self.wall())

    def moment(self, at: float) -> datetime:
        """A moment of the simulation as an instant."""
        return instant(self.loop.start + at)


def instant(wall: float) -> datetime:
    """Seconds since 1970 to an instant (UTC)."""
    return datetime.fromtimestamp(wall, UTC)
