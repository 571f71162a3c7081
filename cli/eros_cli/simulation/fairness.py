"""Which kind is looked for first, and which has waited too long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from eros_cli.simulation.loop import Loop
from eros_cli.simulation.options import Options
from eros_cli.simulation.trace import NOBODY, Trace
from eros_scheduler.core.model import RULES, JobKind, LeasedRow

_SLACK: Final = 0.001


class Fairness:
    """The deepest phase first; but a kind that was not tried for a while is before all others."""

    def __init__(self, loop: Loop, options: Options, trace: Trace) -> None:
        self._loop = loop
        self._ageing = options.ageing_seconds
        self._trace = trace
        self._tried: dict[tuple[str, JobKind], float] = {}
        self._stint_seconds = options.core("").stint_seconds
        self._stints: dict[tuple[str, str], tuple[JobKind, float]] = {}
        """What each worker is at, and since when."""
        self.last_tried: dict[JobKind, float] = dict.fromkeys(RULES, 0.0)
        """By any scheduler."""
        self.found_nothing: dict[JobKind, float] = dict.fromkeys(RULES, -math.inf)
        """When a claim last found no row of a kind."""

    def asked(self, scheduler: str, worker: str, kinds: Sequence[JobKind]) -> None:
        """A claim for this worker looks for these, in this order."""
        now = self._loop.now
        stint = self._stints.get((scheduler, worker))
        if stint is not None and kinds[:1] == [stint[0]]:
            # It may stay with what it is at; what comes behind that is in order.
            kinds = kinds[now - stint[1] <= self._stint_seconds + _SLACK :]
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

    def given(
        self, scheduler: str, worker: str, tried: Sequence[JobKind], rows: Sequence[LeasedRow]
    ) -> None:
        """A claim for this worker found these."""
        at = (scheduler, worker)
        if rows:
            stint = self._stints.get(at)
            if stint is None or list(tried) != [stint[0]]:
                self._stints[at] = (rows[0].kind, self._loop.now)

    def nothing(self, kind: JobKind) -> None:
        self.found_nothing[kind] = self._loop.now
