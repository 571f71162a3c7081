"""What happens to the scheduler. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eros_common.ids import BatchId, WorkerId
from eros_scheduler.core.answers import (
    AsleepKnown,
    Claimed,
    ClaimFailed,
    LeaseRenewed,
    LeasesTaken,
    Verified,
    WakesApplied,
    ZonesKnown,
)
from eros_scheduler.core.model import (
    HaltedJob,
    HeldJob,
    JobKind,
    OwnedJob,
    SessionId,
    Transition,
)

# ---- workers


@dataclass(frozen=True, slots=True)
class WorkerConnected:
    """A stream's first message. Whatever stream the worker had before is over."""

    worker: WorkerId
    session: SessionId
    kinds: frozenset[JobKind]
    held: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class WorkerGone:
    worker: WorkerId
    session: SessionId


@dataclass(frozen=True, slots=True)
class WorkerReady:
    worker: WorkerId
    session: SessionId


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Shares of one core over the last seconds."""

    worker: WorkerId
    session: SessionId
    cpu: float
    cpu_cap: float


@dataclass(frozen=True, slots=True)
class BatchEnded:
    worker: WorkerId
    session: SessionId
    batch_id: BatchId
    completed: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RenewAsked:
    worker: WorkerId
    session: SessionId
    batch_id: BatchId


@dataclass(frozen=True, slots=True)
class HaltSent:
    """The halt goes on the wire, at this wall second."""

    nonce: str
    at: float


@dataclass(frozen=True, slots=True)
class HaltAcked:
    nonce: str
    durable: tuple[HaltedJob, ...]
    left: tuple[HaltedJob, ...]


# ---- watching


@dataclass(frozen=True, slots=True)
class Transitioned:
    """What the activity stream said, received at this wall second."""

    transitions: Sequence[Transition]
    received_at: float


@dataclass(frozen=True, slots=True)
class SnapshotBegan:
    """Who sleeps is not known until the snapshot is in."""


@dataclass(frozen=True, slots=True)
class SnapshotEnded:
    """The job rows agree with the snapshot; these leased rows are of people awake."""

    awake: Sequence[OwnedJob]


@dataclass(frozen=True, slots=True)
class WatchSilent:
    """Nothing was heard of activity for too long."""


@dataclass(frozen=True, slots=True)
class WatchBack:
    """Activity is heard again, after silence."""


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """Activity itself was blind: nothing is to run until then (wall, seconds since 1970)."""

    until: float
    reason: str


# ---- time and the process


@dataclass(frozen=True, slots=True)
class Ticked:
    """Every few seconds."""


@dataclass(frozen=True, slots=True)
class AlarmRang:
    """The moment that `Core.alarm` named has come."""


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """This scheduler is to end."""

    grace_seconds: float


Event = (
    WorkerConnected
    | WorkerGone
    | WorkerReady
    | WorkerStatus
    | BatchEnded
    | RenewAsked
    | HaltSent
    | HaltAcked
    | Verified
    | LeaseRenewed
    | Claimed
    | ClaimFailed
    | WakesApplied
    | LeasesTaken
    | ZonesKnown
    | AsleepKnown
    | Transitioned
    | SnapshotBegan
    | SnapshotEnded
    | WatchSilent
    | WatchBack
    | PauseAsked
    | Ticked
    | AlarmRang
    | DrainAsked
)
