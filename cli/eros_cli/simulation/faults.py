"""What breaks, and when: drawn before the simulation begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from eros_cli.simulation.options import Options


class FaultKind(Enum):
    """`target` is the number of a worker or a scheduler, where there are several."""

    WORKER_CRASH = "worker crash"
    WORKER_FREEZE = "worker frozen"
    WORKER_DRAIN = "worker drained"
    CHILD_CRASH = "child crash"
    LINK_CUT = "worker cut off"
    STREAM_RESET = "stream reset"
    SCHEDULER_CRASH = "scheduler crash"
    SCHEDULER_FREEZE = "scheduler frozen"
    SCHEDULER_DRAIN = "scheduler drained"
    WATCH_CUT = "activity cut off"
    TOUCHES_LOST = "touches lost"
    DATABASE_STALL = "database stalls"
    DATABASE_LOSSES = "database answers lost"
    CLOCK_STEP = "clock steps"


@dataclass(frozen=True, slots=True)
class Fault:
    at: float
    kind: FaultKind
    target: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Rate:
    """So often in twelve hours, for each target; from the shortest to the longest, seconds."""

    often: float
    shortest: float
    longest: float


_RATES: Final = {
    FaultKind.WORKER_CRASH: _Rate(2, 1, 10),
    FaultKind.WORKER_FREEZE: _Rate(5, 0.2, 90),
    FaultKind.WORKER_DRAIN: _Rate(1, 1, 5),
    FaultKind.CHILD_CRASH: _Rate(3, 0, 0),
    FaultKind.LINK_CUT: _Rate(4, 0.2, 60),
    FaultKind.STREAM_RESET: _Rate(4, 0, 0),
    FaultKind.SCHEDULER_CRASH: _Rate(2, 1, 20),
    FaultKind.SCHEDULER_FREEZE: _Rate(2, 0.2, 45),
    FaultKind.SCHEDULER_DRAIN: _Rate(1, 3, 10),
    FaultKind.WATCH_CUT: _Rate(3, 0.2, 30),
    FaultKind.TOUCHES_LOST: _Rate(3, 0.5, 40),
    FaultKind.DATABASE_STALL: _Rate(10, 0.2, 30),
    FaultKind.DATABASE_LOSSES: _Rate(4, 2, 20),
    FaultKind.CLOCK_STEP: _Rate(4, 0, 0),
}
_OF_WORKERS: Final = frozenset(
    {
        FaultKind.WORKER_CRASH,
        FaultKind.WORKER_FREEZE,
        FaultKind.WORKER_DRAIN,
        FaultKind.CHILD_CRASH,
        FaultKind.LINK_CUT,
        FaultKind.STREAM_RESET,
    }
)
_OF_SCHEDULERS: Final = frozenset(
    {
        FaultKind.SCHEDULER_CRASH,
        FaultKind.SCHEDULER_FREEZE,
        FaultKind.SCHEDULER_DRAIN,
        FaultKind.WATCH_CUT,
    }
)
_ACCOMPANIED: Final = 0.4
_COMPANY_SECONDS: Final = 1.0
"""Of the faults, so many have another one so soon behind them: it is then that it gets hard."""
QUIET_SECONDS: Final = 10.0
"""Nothing breaks before everybody has begun."""


def draw(options: Options, random: Random) -> Sequence[Fault]:
    """In order of time."""
    found: list[Fault] = []
    kinds = list(_RATES)
    for kind, rate in _RATES.items():
        expected = rate.often * _targets(kind, options) * options.hours / 12 * options.faults
        for _ in range(_poisson(random, expected)):
            at = random.uniform(QUIET_SECONDS, options.seconds)
            found.append(_fault(options, random, kind, at))
            if random.random() < _ACCOMPANIED:
                at += random.uniform(0, _COMPANY_SECONDS)
                found.append(_fault(options, random, random.choice(kinds), at))
    return sorted(found, key=lambda fault: fault.at)


def _fault(options: Options, random: Random, kind: FaultKind, at: float) -> Fault:
    """Short ones are as frequent as long ones, on a scale that doubles."""
    rate = _RATES[kind]
    low, high = math.log(rate.shortest + 0.1), math.log(rate.longest + 0.1)
    seconds = math.exp(random.uniform(low, high)) - 0.1
    return Fault(at, kind, random.randrange(_targets(kind, options)), seconds)


def _targets(kind: FaultKind, options: Options) -> int:
    if kind in _OF_WORKERS:
        return options.worker_count
    return options.schedulers if kind in _OF_SCHEDULERS else 1


def _poisson(random: Random, expected: float) -> int:
    count, at = 0, random.expovariate(1.0)
    while at < expected:
        count += 1
        at += random.expovariate(1.0)
    return count
