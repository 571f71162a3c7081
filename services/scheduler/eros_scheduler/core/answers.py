"""What the database answers to the scheduler's instructions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eros_common.ids import BatchId, WorkerId
from eros_scheduler.core.model import (
    ClaimId,
    HeldJob,
    JobKind,
    LeasedRow,
    OwnedJob,
    SessionId,
    Transition,
    Zone,
)


@dataclass(frozen=True, slots=True)
class Verified:
    """Of what a worker said it holds, the jobs that are its own."""

    worker: WorkerId
    session: SessionId
    asked: tuple[HeldJob, ...]
    live: Sequence[LeasedRow]


@dataclass(frozen=True, slots=True)
class LeaseRenewed:
    """`live`: what is still the worker's of what was to be renewed; `lease_until` is wall time,
    seconds since 1970."""

    worker: WorkerId
    session: SessionId
    batch_id: BatchId
    asked: tuple[HeldJob, ...]
    live: Sequence[LeasedRow]
    lease_until: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """Rows of one kind, or none; `tried` are the kinds that were looked for."""

    claim: ClaimId
    tried: tuple[JobKind, ...]
    rows: Sequence[LeasedRow]
    lease_until: float


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """The database was not there. What it may have leased comes back when the lease ends."""

    claim: ClaimId


@dataclass(frozen=True, slots=True)
class WakesApplied:
    """The job rows know of these by now; `leased` are the rows of these people that somebody
    has."""

    wakes: Sequence[Transition]
    leased: Sequence[OwnedJob]


@dataclass(frozen=True, slots=True)
class LeasesTaken:
    """Leases that ran out and were given back to the queue: the old fences."""

    jobs: Sequence[OwnedJob]


@dataclass(frozen=True, slots=True)
class ZonesKnown:
    zones: Sequence[Zone]


@dataclass(frozen=True, slots=True)
class AsleepKnown:
    """The share of people that sleep, 0 to 1; near enough."""

    share: float
