"""What happens to the worker and what it then does: the vocabulary of `core.py`. Pure.

`at` is always wall time, seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from eros_common.ids import BatchId, JobToken, UserId
from eros_matcher.worker.jobs import HaltReason, Held, LeasedBatch, PreparedBatch

# ---- events: from the stream


@dataclass(frozen=True, slots=True)
class Connected:
    """A stream is open; nothing was said yet."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream is gone."""


@dataclass(frozen=True, slots=True)
class Welcomed:
    kept: frozenset[Held]


@dataclass(frozen=True, slots=True)
class Leased:
    at: float
    lease_until: float
    batch: LeasedBatch


@dataclass(frozen=True, slots=True)
class Renewed:
    batch_id: BatchId
    lease_until: float


@dataclass(frozen=True, slots=True)
class HaltAsked:
    """`users` is None for everything held."""

    at: float
    nonce: str
    users: tuple[UserId, ...] | None
    reason: HaltReason


@dataclass(frozen=True, slots=True)
class DrainAsked:
    """Checkpoint everything, end the stream; `leaving` when the worker itself is to end."""

    at: float
    leaving: bool


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing heard for too long."""

    at: float


# ---- events: from within


@dataclass(frozen=True, slots=True)
class Prepared:
    batch_id: BatchId
    at: float
    prepared: PreparedBatch


@dataclass(frozen=True, slots=True)
class PrepareFailed:
    batch_id: BatchId
    at: float
    error: str


@dataclass(frozen=True, slots=True)
class PrepareUnavailable:
    """What the batch's input is read from is not there: nobody's failure."""

    batch_id: BatchId
    at: float


class Out(Enum):
    """How a row came out of the computation."""

    LEFT = "left"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RowsOut:
    """Rows that are out: with a result (DONE) or an error text (FAILED)."""

    at: float
    rows: Sequence[tuple[UserId, Out, bytes]]


@dataclass(frozen=True, slots=True)
class RowsLeft:
    """Halted rows that the child can no longer touch, whether it said so or not."""

    at: float
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True)
class BatchClosed:
    """The child has closed the batch; `error` when it could not be opened."""

    at: float
    error: str
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Overstayed:
    """Halted rows did not leave in time."""


@dataclass(frozen=True, slots=True)
class ChildDied:
    at: float
    status: int


@dataclass(frozen=True, slots=True)
class Checkpointed:
    """A transaction of checkpoints is committed.

    `jobs` under their old fences; the new fence of those that were still live.
    """

    at: float
    jobs: Sequence[Held]
    tokens: Mapping[Held, JobToken]


@dataclass(frozen=True, slots=True)
class CheckpointUnavailable:
    jobs: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Settled:
    """Results and failures are committed; who was neither completed nor failed was fenced."""

    at: float
    users: Sequence[UserId]
    completed: frozenset[UserId]
    failed: frozenset[UserId]


@dataclass(frozen=True, slots=True)
class SettleRefused:
    """The results could not be written for a reason of their own."""

    users: Sequence[UserId]
    error: str


@dataclass(frozen=True, slots=True)
class SettleUnavailable:
    users: Sequence[UserId]


@dataclass(frozen=True, slots=True)
class Ticked:
    at: float


Event = (
    Connected
    | Disconnected
    | Welcomed
    | Leased
    | Renewed
    | HaltAsked
    | DrainAsked
    | Silent
    | Prepared
    | PrepareFailed
    | PrepareUnavailable
    | RowsOut
    | RowsLeft
    | BatchClosed
    | Overstayed
    | ChildDied
    | Checkpointed
    | CheckpointUnavailable
    | Settled
    | SettleRefused
    | SettleUnavailable
    | Ticked
)
