"""How long messages take, and which ways are cut."""

from __future__ import annotations

from random import Random


class Network:
    """A way is named by its two ends; what is sent while it is cut arrives when it is whole."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._cut: dict[tuple[str, str], float] = {}

    def cut(self, left: str, right: str, until: float) -> float:
        """Until then at least; returns until when."""
        found = max(until, self._cut.get((left, right), 0.0))
        self._cut[left, right] = found
        return found

    def cut_until(self, left: str, right: str) -> float:
        return self._cut.get((left, right), 0.0)

    def arrival(self, left: str, right: str, now: float) -> float:
        """When something that is sent now is there."""
        chance = self._random.random()
        latency = 0.0002 + 0.0008 * chance + (0.02 if chance > 0.995 else 0.0)
        cut = self._cut.get((left, right), 0.0)
        return max(now, cut) + latency
