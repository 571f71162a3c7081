"""How much a child may compute and when: the cap ledger and the chunk size. Pure."""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_LIMIT_SECONDS = 0.010
CHUNK_TARGET_SECONDS = 0.006
WINDOW_SECONDS = 10.0
SAVED_SECONDS = 0.050
SAVED_CLOCK_SECONDS = 1.0
"""What may be saved up: the allowance of a second, and never more CPU time than at 5 % that is. A
late wake-up, a core that others had, and the gap between two batches are caught up with by it. It
also bounds the overrun: this and one chunk, so 0.6 % of a core, in any 10 s."""

SNAPSHOT_SHARE = 0.02
"""Most of the CPU that snapshots may cost; they are then taken less often."""


class Ledger:
    """CPU time taken against the cap (a share of one core), in seconds.

    All CPU of the process counts, start-up included: whatever was taken beyond the cap is waited
    for. Allowance not used is lost beyond what may be saved, so a starved child never catches up
    above its cap. A debt older than the window no longer matters to any window: it is forgotten.
    """

    def __init__(self, cap: float, *, wall: float, cpu: float, debt: float = 0.0) -> None:
        self.cap = cap
        self._wall = wall
        self._cpu = cpu
        self.credit = 0.0
        self._limit(-debt)

    def settle(self, *, wall: float, cpu: float) -> None:
        """Book what passed since the last time."""
        earned = (wall - self._wall) * self.cap
        self._limit(self.credit + earned - (cpu - self._cpu))
        self._wall, self._cpu = wall, cpu

    def set_cap(self, cap: float) -> None:
        self.cap = cap
        self._limit(self.credit)

    @property
    def wait(self) -> float:
        """Seconds to wait before computing again."""
        return max(0.0, -self.credit / self.cap)

    @property
    def debt(self) -> float:
        return max(0.0, -self.credit)

    def _limit(self, credit: float) -> None:
        saved = min(SAVED_SECONDS, self.cap * SAVED_CLOCK_SECONDS)
        self.credit = min(max(credit, -self.cap * WINDOW_SECONDS), saved)


def overdraft(cap: float, *, debt: float, unseen: float, since: float) -> float:
    """CPU time a dead child took beyond its cap: the opening debt of the next one, seconds.

    `debt` is what it said last, `since` (wall) seconds before its death; `unseen` is the CPU time
    it took in between. No more than one window's worth, as in `Ledger`.
    """
    return min(max(debt + unseen - cap * since, 0.0), cap * WINDOW_SECONDS)


class ChunkSizer:
    """Units a chunk, so that a chunk takes the target and never by choice the limit.

    A unit's cost is followed by its CPU time; under contention a chunk takes longer than its CPU
    time, so the target shrinks by the factor seen lately (at most 8), down to one unit.
    """

    def __init__(self) -> None:
        self.units = 1
        self._unit_seconds = 0.0
        self._stretch = 1.0

    def update(self, *, units: int, wall: float, cpu: float) -> None:
        """A chunk of `units` took this long."""
        if units < 1 or cpu <= 0:
            return
        seen = cpu / units
        known = self._unit_seconds
        # Dearer is believed at once, cheaper slowly: too long hurts, too short does not.
        self._unit_seconds = seen if seen > known else known + (seen - known) / 4
        stretch = min(max(wall / cpu, 1.0), 8.0)
        self._stretch += (stretch - self._stretch) / 4
        fits = int(CHUNK_TARGET_SECONDS / (self._unit_seconds * self._stretch))
        self.units = max(1, min(fits, 2 * self.units))


@dataclass(slots=True)
class SnapshotRhythm:
    """When to publish snapshots: as often as SNAPSHOT_SHARE of the CPU allows."""

    share: float = SNAPSHOT_SHARE
    due_at_cpu: float = 0.0

    def due(self, cpu: float) -> bool:
        return cpu >= self.due_at_cpu

    def took(self, *, began: float, ended: float) -> None:
        """Publishing took from `began` to `ended` (CPU seconds)."""
        self.due_at_cpu = ended + (ended - began) * (1.0 / self.share - 1.0)
