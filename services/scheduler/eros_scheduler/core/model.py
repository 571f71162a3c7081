"""What the scheduler speaks of: kinds of jobs, leases, why work stops. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final, NewType

from eros_common.ids import JobToken, UserId, WorkerId
from eros_common.phases import Phase, Window

Zone = NewType("Zone", str)
ANYWHERE: Final = Zone("*")
"""Where nobody's work is done: its window is open as soon as that of any zone is."""
"""A zone as a job row names it: an IANA name; empty means the configured default."""
ClaimId = NewType("ClaimId", int)
SessionId = NewType("SessionId", int)
"""One stream of one worker, in this process. What an older one still says is not listened to."""


class JobKind(IntEnum):
    """What is done for a person; the numbers are those of the job rows and the protocol."""

    ANALYZE = 1
    SCORE = 2
    MATCH = 3
    PREPARE = 4
    LEARN = 5


class HaltReason(IntEnum):
    """Why work on a person stops; the numbers are those of the protocol."""

    WOKE = 1
    PAUSED = 2
    WINDOW = 3
    FENCED = 4
    DRAIN = 5
    DELETED = 6
    YIELDED = 7


class TransitionKind(Enum):
    ASLEEP = "asleep"
    WOKE = "woke"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class KindRule:
    """How one kind is run: from which phase on, how many people a batch, which share of a core.

    What is nobody's makes room for people. It runs while `asleep_share` of them sleep, and stops
    when fewer than half of that do. It is halted after `turn_seconds`, and takes a turn before
    people's work only so often that it has `turn_share` of a worker's time.
    """

    phase: Phase
    batch: int
    cpu_cap: float
    asleep_share: float = 0.0
    turn_seconds: float = math.inf
    turn_share: float = 1.0

    def __post_init__(self) -> None:
        if self.phase is Phase.AWAKE or self.batch < 1 or not 0 < self.cpu_cap <= 1:
            raise ValueError("a kind needs a phase of 1 to 3, a batch and a share of a core")
        if (
            not 0 <= self.asleep_share <= 1
            or self.turn_seconds <= 0
            or not 0 < self.turn_share <= 1
        ):
            raise ValueError("shares are from 0 to 1, and a turn takes time")

    @property
    def rest_seconds(self) -> float:
        """How long it lets people's work go first between two turns."""
        return 0.0 if self.turn_share == 1 else self.turn_seconds * (1 / self.turn_share - 1)


RULES: Final[Mapping[JobKind, KindRule]] = MappingProxyType(
    {
        JobKind.ANALYZE: KindRule(Phase.FIRST, 20, 0.05),
        JobKind.SCORE: KindRule(Phase.SECOND, 100, 0.15),
        JobKind.MATCH: KindRule(Phase.THIRD, 250, 0.95),
        JobKind.PREPARE: KindRule(Phase.THIRD, 250, 0.95),
        JobKind.LEARN: KindRule(
            Phase.THIRD, 1, 0.95, asleep_share=0.2, turn_seconds=60.0, turn_share=0.25
        ),
    }
)
"""Every kind, with its defaults. Of those of one phase the first comes first."""

PERSONAL: Final = (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH, JobKind.PREPARE)
"""The kinds that every person has a row of, in the order they are worked on."""


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """What the core goes by. Seconds are wall seconds."""

    scheduler_id: str
    window: Window = field(default_factory=Window)
    default_zone: Zone = Zone("UTC")
    rules: Mapping[JobKind, KindRule] = field(default_factory=lambda: RULES)
    night_rate: float = 1.0
    heartbeat_seconds: float = 60.0
    """After a gap in watching, nothing is leased for so long: everybody who is awake has told."""
    ageing_seconds: float = 60.0
    """A kind that was not tried for so long is tried before deeper ones."""
    stint_seconds: float = 5.0
    """While its batches are full, a worker stays with a kind for so long before it looks deeper."""


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks at an event: seconds since 1970, seconds that only go forward, night time."""

    wall: float
    mono: float
    night: datetime


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job by its fence."""

    user_id: UserId
    kind: JobKind
    token: JobToken


@dataclass(frozen=True, slots=True)
class LeasedRow:
    """A job row under a live lease, as the database has it."""

    user_id: UserId
    kind: JobKind
    token: JobToken
    zone: Zone
    solo_at: datetime
    """Night time; from then on the window does not count for this person."""
    awake: bool = False

    @property
    def job(self) -> HeldJob:
        return HeldJob(self.user_id, self.kind, self.token)


@dataclass(frozen=True, slots=True)
class OwnedJob:
    """A leased job row and the worker that the database says has it."""

    job: HeldJob
    owner: WorkerId


@dataclass(frozen=True, slots=True)
class Transition:
    """`at` is night time: the last interaction (asleep), the touch (woke). `touched_at` is wall
    time, seconds since 1970, when the touch was received; 0 when no touch was the cause. `trace`
    is the `traceparent` of that touch, where it is traced."""

    user_id: UserId
    kind: TransitionKind
    at: datetime
    touched_at: float = 0.0
    trace: str = ""


@dataclass(frozen=True, slots=True)
class HaltedJob:
    """A worker's word on one halted job; times are wall seconds since 1970."""

    user_id: UserId
    at: float
    received_at: float
    killed: bool
    was_running: bool


@dataclass(frozen=True, slots=True)
class HaltRecord:
    """One halt with its legs: wall seconds since 1970, None where it never came to that."""

    user_id: UserId
    kind: JobKind
    reason: HaltReason
    worker: WorkerId
    touched_at: float | None
    event_at: float
    dispatched_at: float
    received_at: float | None
    durable_at: float | None
    left_at: float | None
    killed: bool
