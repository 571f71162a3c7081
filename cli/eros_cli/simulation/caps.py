"""CPU against the cap, as measured from outside over any ten seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 10.0
POINT: Final = 0.01
"""A cap may be exceeded by one point."""


class Meter:
    """One worker's CPU time used and allowed, as they grow; straight between two readings."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float, float]] = deque([(0.0, 0.0, 0.0)])

    def read(self, at: float, *, used: float, allowed: float) -> float:
        """So much more was used and allowed since the last reading; how far the last ten seconds
        are above the cap now, as a share of a core."""
        points = self._points
        _, before_used, before_allowed = points[-1]
        points.append((at, before_used + used, before_allowed + allowed))
        since = at - WINDOW_SECONDS
        while len(points) > 2 and points[1][0] <= since:
            points.popleft()
        began_used, began_allowed = _between(points[0], points[1], since)
        _, all_used, all_allowed = points[-1]
        return ((all_used - began_used) - (all_allowed - began_allowed)) / WINDOW_SECONDS


def _between(
    left: tuple[float, float, float], right: tuple[float, float, float], at: float
) -> tuple[float, float]:
    share = 0.0 if right[0] <= left[0] else (at - left[0]) / (right[0] - left[0])
    share = min(max(share, 0.0), 1.0)
    return left[1] + share * (right[1] - left[1]), left[2] + share * (right[2] - left[2])
