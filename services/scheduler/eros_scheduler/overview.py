"""The night at a glance, at most so often that looking costs next to nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eros_common.clocks import Clock
from eros_scheduler.core.state import State
from eros_scheduler.ports import Counts, JobStore

SHORTEST_SECONDS = 1.0
SHARE = 0.05
"""Counting may take so much of the database's time: it walks over everybody who sleeps."""


@dataclass(frozen=True, slots=True)
class _Counted:
    counts: Counts
    fresh_until: float


class Counting:
    """`JobStore.counts`, remembered for a second, or longer where it takes long."""

    def __init__(self, jobs: JobStore, clock: Clock, state: State) -> None:
        self._jobs = jobs
        self._clock = clock
        self._state = state
        self._counted: _Counted | None = None
        self._one_at_a_time = asyncio.Lock()

    async def counts(self) -> Counts:
        """Raises `StoreUnavailableError`."""
        async with self._one_at_a_time:
            begun = self._clock.monotonic()
            if self._counted is None or begun >= self._counted.fresh_until:
                counts = await self._count()
                now = self._clock.monotonic()
                keep = max(SHORTEST_SECONDS, (now - begun) / SHARE)
                self._counted = _Counted(counts, now + keep)
            return self._counted.counts

    async def _count(self) -> Counts:
        night, windows = self._clock.night(), self._state.windows
        caps = {zone: windows.cap(zone, night) for zone in windows.zones}
        ends = {zone: windows.ended(zone, night) for zone in windows.zones}
        over = {zone: end for zone, end in ends.items() if end is not None}
        return await self._jobs.counts(night=night, caps=caps, over=over)
