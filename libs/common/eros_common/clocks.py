"""The two clocks.

``wall`` drives leases, timeouts, halts, ticks, time-to-live, tokens and every instant in REST.
``night`` drives idle time, phases, windows, dates and due times; it is a pure function of three
settings, so every process agrees on it: night = epoch + (wall - t0) x rate.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NightLine:
    """The line night = epoch + (wall - t0) x rate.

    ``epoch`` is the night instant at the wall instant ``t0``; ``rate`` is night seconds per wall
    second, above zero. Where epoch = t0 and rate = 1, night time is wall time.
    """

    epoch: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    t0: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.epoch.tzinfo is None or self.t0.tzinfo is None:
            raise ValueError("epoch and t0 need a time zone")
        if not self.rate > 0:
            raise ValueError("rate must be above 0")

    def at(self, wall: datetime) -> datetime:
        """The night instant (UTC) at a wall instant."""
        return (self.epoch + (wall - self.t0) * self.rate).astimezone(UTC)


class Clock(Protocol):
    """Where time comes from."""

    @property
    def rate(self) -> float:
        """Night seconds per wall second."""
        ...

    def wall(self) -> datetime:
        """Now, UTC."""
        ...

    def night(self) -> datetime:
        """The night clock's now, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward, for measuring and timeouts (wall pace)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits wall seconds."""
        ...


def until_beat(wall: float, every_seconds: float) -> float:
    """Wall seconds until the next whole multiple of ``every_seconds`` since 1970.

    What a process says only to show that it lives it says on such a beat, like everybody else: then
    what hears it and says so itself is awake once, and sleeps in between.
    """
    return every_seconds - wall % every_seconds


class SystemClock:
    """The machine's clock."""

    __slots__ = ("_line",)

    def __init__(self, line: NightLine | None = None) -> None:
        self._line = line or NightLine()

    @property
    def rate(self) -> float:
        return self._line.rate

    def wall(self) -> datetime:
        return datetime.now(UTC)

    def night(self) -> datetime:
        return self._line.at(datetime.now(UTC))

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
