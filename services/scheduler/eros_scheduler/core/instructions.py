"""What the scheduler is to do next, as `core.py` says it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from eros_common.ids import BatchId, JobToken, UserId, WorkerId
from eros_scheduler.core.model import (
    ClaimId,
    HaltReason,
    HaltRecord,
    HeldJob,
    JobKind,
    SessionId,
    Transition,
    Zone,
)

# ---- to a worker


@dataclass(frozen=True, slots=True)
class SendWelcome:
    session: SessionId
    kept: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class Leased:
    """One person's job in a batch; `next_due_at` is night time."""

    user_id: UserId
    token: JobToken
    next_due_at: datetime
    list_date: date


@dataclass(frozen=True, slots=True)
class SendLease:
    session: SessionId
    batch_id: BatchId
    kind: JobKind
    cpu_cap: float
    leases: tuple[Leased, ...]
    lease_until: float
    night_now: datetime


@dataclass(frozen=True, slots=True)
class SendHalt:
    """`users` with when they touched (wall seconds since 1970; 0 when no touch was the cause).
    `everything`: also what is not named."""

    session: SessionId
    nonce: str
    users: tuple[tuple[UserId, float], ...]
    reason: HaltReason
    everything: bool = False


@dataclass(frozen=True, slots=True)
class SendRenewed:
    session: SessionId
    batch_id: BatchId
    lease_until: float


@dataclass(frozen=True, slots=True)
class SendDrain:
    session: SessionId
    grace_seconds: float


@dataclass(frozen=True, slots=True)
class EndStream:
    """The worker has opened a newer one."""

    session: SessionId


# ---- to the database


@dataclass(frozen=True, slots=True)
class Attempt:
    """Look for one kind: in these open zones, and for those whom no window holds back."""

    kind: JobKind
    zones: tuple[Zone, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Try one after the other until there are rows; answered by `Claimed` or `ClaimFailed`."""

    claim: ClaimId
    worker: WorkerId
    attempts: tuple[Attempt, ...]
    night: datetime


@dataclass(frozen=True, slots=True)
class Verify:
    """Answered by `Verified`; until it is, the worker has no welcome."""

    worker: WorkerId
    session: SessionId
    jobs: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Answered by `LeaseRenewed`, or not at all."""

    worker: WorkerId
    session: SessionId
    batch_id: BatchId
    jobs: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what no worker ever got."""

    jobs: tuple[HeldJob, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """Write who fell asleep and who woke to the job rows; for those who woke, `WakesApplied`
    answers."""

    transitions: Sequence[Transition]


@dataclass(frozen=True, slots=True)
class TakeExpired:
    """Give expired leases and what waited long enough back to the queue: `LeasesTaken`."""


@dataclass(frozen=True, slots=True)
class LoadZones:
    """Answered by `ZonesKnown`."""


@dataclass(frozen=True, slots=True)
class LookWhoSleeps:
    """Answered by `AsleepKnown`."""


# ---- for the record


@dataclass(frozen=True, slots=True)
class RecordHalt:
    record: HaltRecord


Instruction = (
    SendWelcome
    | SendLease
    | SendHalt
    | SendRenewed
    | SendDrain
    | EndStream
    | Claim
    | Verify
    | RenewLease
    | Release
    | Project
    | TakeExpired
    | LoadZones
    | LookWhoSleeps
    | RecordHalt
)
