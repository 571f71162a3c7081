"""What is counted for the report, and the night minute by minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Loop
from eros_cli.simulation.options import Options
from eros_cli.simulation.trace import LEARNER
from eros_common.phases import STARVED_AFTER, Phase
from eros_scheduler.core.instructions import SendLease
from eros_scheduler.core.model import RULES, HaltReason, HaltRecord, JobKind

SAMPLE_SECONDS: Final = 60.0


@dataclass(slots=True)
class Minute:
    """One sample; CPU as shares of one core over the minute, all workers together."""

    at: float
    people: tuple[int, ...]
    """By phase, 0 to 3."""
    cpu: dict[JobKind, float]
    cap: float
    halts: dict[HaltReason, int]
    done: dict[JobKind, int]


@dataclass(slots=True)
class Span:
    """A fault, for the picture."""

    kind: str
    began: float
    ended: float


@dataclass(slots=True)
class Tally:
    """Sums over the whole simulation."""

    batches: Counter[JobKind] = field(default_factory=Counter)
    rows: Counter[JobKind] = field(default_factory=Counter)
    failed: Counter[JobKind] = field(default_factory=Counter)
    done: Counter[JobKind] = field(default_factory=Counter)
    halts: Counter[HaltReason] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    spans: list[Span] = field(default_factory=list)
    killed: int = 0
    resumed: int = 0
    claims: int = 0
    sessions: int = 0
    minutes: list[Minute] = field(default_factory=list)

    def dispatched(self, lease: SendLease) -> None:
        self.batches[lease.kind] += 1
        self.rows[lease.kind] += len(lease.leases)

    def settled(self, kind: JobKind, done: int, failed: int) -> None:
        self.done[kind] += done
        self.failed[kind] += failed

    def halted(self, record: HaltRecord) -> None:
        self.halts[record.reason] += 1
        self.killed += record.killed

    @property
    def halt_count(self) -> int:
        return sum(self.halts.values())

    @property
    def done_count(self) -> int:
        return sum(self.done.values())


class Sampler:
    """Once a minute."""

    def __init__(self, loop: Loop, options: Options, judge: Judge, tally: Tally) -> None:
        self._loop = loop
        self._options = options
        self._judge = judge
        self._tally = tally
        self._cpu: dict[JobKind, float] = dict.fromkeys(RULES, 0.0)
        self._cap = 0.0
        self._halts: Counter[HaltReason] = Counter()
        self._done: Counter[JobKind] = Counter()

    def begin(self) -> None:
        self._sample()

    def _sample(self) -> None:
        self._loop.after(SAMPLE_SECONDS, self._sample)
        judge, tally = self._judge, self._tally
        cpu = {kind: judge.cpu_used[kind] - self._cpu[kind] for kind in RULES}
        cap = judge.cpu_allowed - self._cap
        self._cpu, self._cap = dict(judge.cpu_used), judge.cpu_allowed
        halts, self._halts = tally.halts - self._halts, tally.halts.copy()
        done, self._done = tally.done - self._done, tally.done.copy()
        tally.minutes.append(
            Minute(
                self._loop.now,
                self._people(),
                {kind: used / SAMPLE_SECONDS for kind, used in cpu.items()},
                cap / SAMPLE_SECONDS,
                dict(halts),
                dict(done),
            )
        )

    def _people(self) -> tuple[int, ...]:
        """How many are in each phase, by the truth."""
        now, judge, idle = self._loop.now, self._judge, self._options.idle
        waited = now - np.frombuffer(judge.seen_until)[:LEARNER]
        thresholds = (idle.phase1, idle.phase2, idle.phase3)
        by_idle = sum((waited >= each).astype(np.int8) for each in thresholds)
        caps = np.array(judge.caps, dtype=np.int8)[
            np.frombuffer(judge.zone_of, dtype=np.int32)[:LEARNER]
        ]
        solo = now - np.frombuffer(judge.matched_at)[:LEARNER] >= STARVED_AFTER.total_seconds()
        phases = np.where(solo, by_idle, np.minimum(by_idle, caps))
        return tuple(np.bincount(phases, minlength=len(Phase)).tolist())


def percentile(values: Sequence[float], share: float) -> float:
    """0 without values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(round(share * len(ordered)), len(ordered) - 1)]
