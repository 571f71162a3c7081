"""A clock that stands still until it is moved."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

from eros_common.clocks import NightLine

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class FakeClock:
    """Wall, monotonic and night time that move only by ``advance``; sleepers wake on the way."""

    def __init__(self, start: datetime = START, *, line: NightLine | None = None) -> None:
        self._wall = start
        self._monotonic = 1000.0
        self._line = line or NightLine()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._slept = asyncio.Event()

    @property
    def rate(self) -> float:
        return self._line.rate

    def wall(self) -> datetime:
        return self._wall

    def night(self) -> datetime:
        return self._line.at(self._wall)

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._monotonic + seconds, next(self._order), future)
        heapq.heappush(self._sleepers, entry)
        self._slept.set()
        await future

    def advance(self, seconds: float) -> None:
        """Moves on by wall seconds and wakes whoever slept until then."""
        self._wall += timedelta(seconds=seconds)
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def set_wall(self, seconds: float) -> None:
        """The wall clock is set on by so much (back, if negative); no time passes."""
        self._wall += timedelta(seconds=seconds)

    async def slept(self, sleepers: int = 1) -> None:
        """Waits until at least so many tasks sleep: then it is time to ``advance``."""
        while sum(not future.done() for _, _, future in self._sleepers) < sleepers:
            self._slept.clear()
            await self._slept.wait()
