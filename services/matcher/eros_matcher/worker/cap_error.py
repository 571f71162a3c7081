"""How far the CPU taken is from the cap, over the ten seconds that the promise is about. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_SECONDS: Final = 10.0


class CapError:
    """Fed every second or so with the CPU clock and the cap; a changed cap begins anew."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()
        self._cap = 0.0

    def look(self, *, wall: float, cpu: float, cap: float) -> float | None:
        """Seconds of any clock, CPU seconds, a share of a core. The share taken beyond the cap
        (negative: below it); None until ten seconds under the same cap have passed."""
        if cap != self._cap:
            self._cap = cap
            self._seen.clear()
        self._seen.append((wall, cpu))
        while len(self._seen) > 1 and wall - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        if cap == 0 or wall - since < WINDOW_SECONDS:
            return None
        return (cpu - before) / (wall - since) - cap
