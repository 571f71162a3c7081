"""What the worker is to do next, as `core.py` says it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eros_common.ids import BatchId, JobToken, UserId
from eros_matcher.worker.jobs import (
    HaltReason,
    Held,
    JobKind,
    Lease,
    LeasedBatch,
    PreparedBatch,
    RowResult,
)

# ---- to the scheduler


@dataclass(frozen=True, slots=True)
class SendHello:
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class SendReady:
    pass


@dataclass(frozen=True, slots=True)
class Acked:
    """One halted job in an ack; times are wall seconds since 1970."""

    user_id: UserId
    kind: JobKind | None
    token: JobToken
    at: float
    received_at: float
    killed: bool
    was_running: bool


@dataclass(frozen=True, slots=True)
class SendAck:
    nonce: str
    durable: tuple[Acked, ...] = ()
    left: tuple[Acked, ...] = ()


@dataclass(frozen=True, slots=True)
class SendEnd:
    batch_id: BatchId
    completed: tuple[UserId, ...]
    failed: tuple[tuple[UserId, str], ...]
    lost: tuple[UserId, ...]
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class SendRenew:
    batch_id: BatchId


@dataclass(frozen=True, slots=True)
class EndStream:
    pass


# ---- to the computation


@dataclass(frozen=True, slots=True)
class Prepare:
    batch: LeasedBatch


@dataclass(frozen=True, slots=True)
class CancelPrepare:
    pass


@dataclass(frozen=True, slots=True)
class Offer:
    """Give the batch to the child; `halted` rows leave at once."""

    prepared: PreparedBatch
    halted: frozenset[UserId]
    cpu_cap: float


@dataclass(frozen=True, slots=True)
class Mask:
    """Tell these rows to leave, and watch that they do."""

    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class KillChild:
    pass


@dataclass(frozen=True, slots=True)
class StartChild:
    pass


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The worker cannot go on."""

    reason: str


# ---- to the database


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Store where these stand and raise their fences; `computed` ones by their last snapshot."""

    kind: JobKind
    reason: HaltReason
    leases: tuple[Lease, ...]
    computed: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Raise the fences of a batch that came unasked; its checkpoints stay as they are."""

    batch: LeasedBatch


@dataclass(frozen=True, slots=True)
class Settle:
    """Write results and failures, complete and fail the jobs, in one transaction."""

    kind: JobKind
    results: Sequence[RowResult]
    failures: Sequence[tuple[Lease, str]]


Instruction = (
    SendHello
    | SendReady
    | SendAck
    | SendEnd
    | SendRenew
    | EndStream
    | Prepare
    | CancelPrepare
    | Offer
    | Mask
    | KillChild
    | StartChild
    | GiveUp
    | Checkpoint
    | GiveBack
    | Settle
)
