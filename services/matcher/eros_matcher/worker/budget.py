"""What the compute child takes against what it may take. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 10.0
"""The promise about caps is one about ten seconds."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Shares of a core. `cpu`, and the highest `cap`, since the last look; `beyond` the caps over
    the last ten seconds (negative: below them), None before ten seconds have passed."""

    cpu: float
    cap: float
    beyond: float | None


class Budget:
    """Told of every cap as it begins, asked every second or so; seconds of any clock."""

    def __init__(self, *, wall: float, cpu: float) -> None:
        self._cap = self._highest = 0.0
        self._since = wall
        self._allowed = 0.0
        self._seen = deque([(wall, cpu, 0.0)])

    def allow(self, cap: float, *, wall: float) -> None:
        """From now on."""
        self._allowed += self._cap * (wall - self._since)
        self._cap, self._since = cap, wall
        self._highest = max(self._highest, cap)

    def look(self, *, wall: float, cpu: float) -> Spent:
        """`cpu`: the child's clock, in seconds."""
        self.allow(self._cap, wall=wall)
        last_wall, last_cpu, _ = self._seen[-1]
        self._seen.append((wall, cpu, self._allowed))
        while len(self._seen) > 2 and wall - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()
        since, before, allowed = self._seen[0]
        passed = wall - since
        beyond = (cpu - before - (self._allowed - allowed)) / passed
        highest, self._highest = self._highest, self._cap
        return Spent(
            cpu=(cpu - last_cpu) / (wall - last_wall),
            cap=highest,
            beyond=beyond if passed >= WINDOW_SECONDS else None,
        )
