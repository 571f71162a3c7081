"""Watching that masked rows leave the computation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from eros_matcher.compute.layout import RowStatus, Word
from eros_matcher.compute.region import ParentRegion

LEAVE_SECONDS = 0.150
"""Not out by then: the child is killed."""
_SETTLE_SECONDS = 0.001
"""By then a word that one core wrote is seen by all others; in fact far sooner."""
_LOOKS = (0.002, 0.010, 0.025, 0.050, 0.100, LEAVE_SECONDS)


@dataclass(slots=True)
class _Watched:
    masked_at: float
    turn: int | None = None


class LeftWatch:
    """A row has left when the child says so, or when the turn it was masked in is over.

    Every turn begins by looking at the masks, after it made the header's TURN odd. So a turn that
    began after the mask was visible leaves the row out, and no turn, or another turn than the one
    seen then, means that the row is out: the child need not get the CPU to say it.
    """

    def __init__(
        self,
        region: ParentRegion,
        *,
        on_left: Callable[[tuple[int, ...]], None],
        on_overstay: Callable[[], None],
    ) -> None:
        self._region = region
        self._on_left = on_left
        self._on_overstay = on_overstay
        self._loop = asyncio.get_running_loop()
        self._watched: dict[int, _Watched] = {}

    def add(self, rows: Iterable[int]) -> None:
        """Just masked."""
        now = self._loop.time()
        for row in rows:
            self._watched[row] = _Watched(now)
        for after in _LOOKS:
            self._loop.call_later(after, self.look)

    def forget(self) -> None:
        """The child is gone, or the batch is."""
        self._watched.clear()

    def look(self) -> None:
        """Report who left; say so once somebody overstays."""
        now = self._loop.time()
        left = tuple(row for row, watched in self._watched.items() if self._out(row, watched, now))
        for row in left:
            del self._watched[row]
        if left:
            self._on_left(left)
        if any(now - watched.masked_at >= LEAVE_SECONDS for watched in self._watched.values()):
            self._on_overstay()

    def _out(self, row: int, watched: _Watched, now: float) -> bool:
        if self._region.status(row) not in {RowStatus.WAITING, RowStatus.RUNNING}:
            return True
        if now - watched.masked_at < _SETTLE_SECONDS:
            return False
        turn = self._region.word(Word.TURN)
        if watched.turn is None and turn % 2:
            watched.turn = turn
            return False
        return turn != watched.turn
