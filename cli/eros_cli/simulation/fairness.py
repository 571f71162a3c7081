"""Which kind is looked for first, and which has waited too long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from eros_cli.simulation.loop import Loop
from eros_cli.simulation.options import Options
from eros_cli.simulation.trace import NOBODY, Trace
from eros_scheduler.core.model import RULES, JobKind

_SLACK: Final = 0.001


class Fairness:
    """The deepest phase first; but a kind that was not tried for a while is before all others, and
    what a worker is at in full batches is before them for the length of a stint."""

    def __init__(self, loop: Loop, options: Options, trace: Trace) -> None:
        self._loop = loop
        self._ageing = options.ageing_seconds
        self._stint = options.stint_seconds
        self._stints: dict[str, tuple[JobKind, float]] = {}
        """What each worker is at, and since when."""
        self._trace = trace
        self._tried: dict[tuple[str, JobKind], float] = {}
        self.last_tried: dict[JobKind, float] = dict.fromkeys(RULES, 0.0)
        """By any scheduler."""
        self.found_nothing: dict[JobKind, float] = dict.fromkeys(RULES, -math.inf)
        """When a claim last found no row of a kind."""

    def dispatched(self, worker: str, kind: JobKind) -> None:
        """The worker has a batch of this kind."""
        before, since = self._stints.get(worker, (None, -math.inf))
        if before is not kind or self._loop.now - since >= self._stint - _SLACK:
            since = self._loop.now
        self._stints[worker] = (kind, since)

    def asked(self, scheduler: str, worker: str, kinds: Sequence[JobKind]) -> None:
        """A claim for a worker looks for these, in this order."""
        now = self._loop.now
        kind, since = self._stints.get(worker, (None, -math.inf))
        if kinds and kinds[0] is kind and now - since <= self._stint + _SLACK:
            kinds = kinds[1:]
        waited = [now - self._tried.setdefault((scheduler, kind), now) for kind in kinds]
        for first, second in zip(range(len(kinds)), range(1, len(kinds)), strict=False):
            aged = waited[first] >= self._patience(kinds[first]) - _SLACK
            if not aged and self._depth(kinds[first]) < self._depth(kinds[second]):
                what = f"{kinds[first].name} is looked for before {kinds[second].name}"
                self._trace.violated("depth", NOBODY, what)
            if not aged and waited[second] >= self._patience(kinds[second]) + _SLACK:
                what = f"{kinds[second].name} waits behind {kinds[first].name}"
                self._trace.violated("starved", NOBODY, what)

    def _patience(self, kind: JobKind) -> float:
        return max(self._ageing, RULES[kind].rest_seconds)

    def _depth(self, kind: JobKind) -> int:
        """Nobody's work is behind everybody's."""
        return 0 if RULES[kind].rest_seconds > 0 else RULES[kind].phase

    def tried(self, scheduler: str, kinds: Sequence[JobKind]) -> None:
        """These were looked for, or a batch of one is over."""
        for kind in kinds:
            self._tried[scheduler, kind] = self.last_tried[kind] = self._loop.now

    def nothing(self, kind: JobKind) -> None:
        self.found_nothing[kind] = self._loop.now
