"""Were entries of the gateway's access log lost? Pure.

Each thread of each gateway numbers the entries it logs: 1, 2, 3 … per *source*. Numbers are given
when a response starts and logged when it was sent, so they may arrive a little out of order; a
number that is still missing after the grace was lost on the way, and with it a sign of life.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Source(NamedTuple):
    """One thread of one gateway process."""

    boot: str
    worker: str

    def __str__(self) -> str:
        return f"{self.boot}/{self.worker}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Numbers ``first`` to ``last`` did not come, as was noticed at ``since`` (any clock)."""

    first: int
    last: int
    since: float

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Numbers:
    """The numbers seen of one source, by one reader that began after number ``settled``."""

    __slots__ = ("_highest", "_missing")

    def __init__(self, settled: int = 0) -> None:
        self._highest = settled
        self._missing: list[Missing] = []

    @property
    def settled(self) -> int:
        """Up to here every number has come, or was declared lost."""
        return self._missing[0].first - 1 if self._missing else self._highest

    def observe(self, number: int, now: float) -> None:
        """One number came. One that came before changes nothing."""
        if number == self._highest + 1:
            self._highest = number
        elif number > self._highest:
            self._missing.append(Missing(self._highest + 1, number - 1, now))
            self._highest = number
        elif self._missing:
            self._missing = [part for gap in self._missing for part in _without(gap, number)]

    def settle(self, number: int) -> None:
        """Another reader of the same source had everything up to this number."""
        self._highest = max(self._highest, number)
        self._missing = [
            Missing(max(gap.first, number + 1), gap.last, gap.since)
            for gap in self._missing
            if gap.last > number
        ]

    def overdue(self, now: float, grace: float) -> bool:
        """Whether something has been missing for longer than the grace."""
        return any(now - gap.since >= grace for gap in self._missing)

    def give_up(self, now: float, grace: float) -> list[Missing]:
        """What has been missing for longer than the grace: lost, and not waited for any more."""
        lost = [gap for gap in self._missing if now - gap.since >= grace]
        self._missing = [gap for gap in self._missing if now - gap.since < grace]
        return lost


def _without(gap: Missing, number: int) -> list[Missing]:
    if not gap.first <= number <= gap.last:
        return [gap]
    parts = (Missing(gap.first, number - 1, gap.since), Missing(number + 1, gap.last, gap.since))
    return [part for part in parts if part.count]
