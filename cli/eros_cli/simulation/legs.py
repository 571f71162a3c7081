"""Which parts of the way from a touch to the computation were broken, and when."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

_KEPT: Final = 40

TOUCHES: Final = "touches"
"""From the gateway to activity."""


def watch(scheduler: str) -> str:
    """From activity to a scheduler."""
    return f"watch {scheduler}"


def stream(worker: str) -> str:
    """From any scheduler to a worker."""
    return f"stream {worker}"


def frozen(process: str) -> str:
    """A process that stands still."""
    return f"frozen {process}"


class Legs:
    """Spans in which legs were broken; the end of one that still is, is infinite."""

    def __init__(self) -> None:
        self._spans: dict[str, list[list[float]]] = defaultdict(list)

    def down(self, leg: str, now: float) -> None:
        spans = self._spans[leg]
        if not spans or spans[-1][1] <= now:
            spans.append([now, math.inf])
            del spans[:-_KEPT]

    def up(self, leg: str, now: float) -> None:
        spans = self._spans[leg]
        if spans and spans[-1][1] == math.inf:
            spans[-1][1] = now

    def span(self, leg: str, began: float, ended: float) -> None:
        self._spans[leg].append([began, ended])
        del self._spans[leg][:-_KEPT]

    def is_down(self, leg: str, now: float) -> bool:
        return self.broken(leg, now, now)

    def broken(self, leg: str, since: float, until: float) -> bool:
        """At any moment of the span."""
        return any(end >= since and begin <= until for begin, end in self._spans.get(leg, ()))

    def last_end(self, leg: str, since: float, until: float) -> float | None:
        """When the last break of the span that is over was over."""
        ends = [
            end
            for begin, end in self._spans.get(leg, ())
            if end >= since and begin <= until and end != math.inf
        ]
        return max(ends, default=None)
