"""What the worker speaks of: leases, their fences, what became of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum

from eros_common.ids import BatchId, JobToken, UserId
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker.checkpoints import Verdict


class JobKind(IntEnum):
    """What is done for a person; the numbers are those of the job rows and the protocol."""

    ANALYZE = 1
    SCORE = 2
    MATCH = 3
    PREPARE = 4
    LEARN = 5


class HaltReason(IntEnum):
    """Why work on a person stops; the first seven are the protocol's, the rest the worker's own."""

    WOKE = 1
    PAUSED = 2
    WINDOW = 3
    FENCED = 4
    DRAIN = 5
    DELETED = 6
    YIELDED = 7
    SILENCE = 101
    """The scheduler said nothing for too long."""
    EXPIRED = 102
    """The lease ran out without being renewed."""
    REFUSED = 103
    """A batch came while another was in flight."""
    UNAVAILABLE = 104
    """What was to be read for the batch could not be had."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job by its fence."""

    user_id: UserId
    kind: JobKind
    token: JobToken


@dataclass(frozen=True, slots=True)
class Lease:
    """One person's job, leased.

    The token is the job's fence: raised by every claim and every checkpoint. `next_due_at` (night
    clock) is when the job is due again once completed; `list_date` is the local date on which the
    person's window ends, the date of a daily list.
    """

    user_id: UserId
    token: JobToken
    next_due_at: datetime
    list_date: date


@dataclass(frozen=True, slots=True)
class LeasedBatch:
    """One batch of one kind. `cpu_cap` is the share of one core it may use, 0 to 1."""

    batch_id: BatchId
    kind: JobKind
    cpu_cap: float
    leases: tuple[Lease, ...]
    night_now: datetime


@dataclass(frozen=True, slots=True)
class RowResult:
    """What the program said of one person; None when the row needed no computing."""

    lease: Lease
    result: bytes | None


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch ready to compute.

    `users` are the people computed, in the order of the rows of `spec`. `settled` are those that
    need no computing (no longer in the market, account gone): `ResultSink.write` gets them with
    `result=None` and they are completed at once. `spec` is None when all are settled.
    `states` are where people go on whose stored checkpoint holds; `verdicts`, how many had one that
    was found so.
    """

    spec: BatchSpec | None
    users: tuple[UserId, ...]
    settled: tuple[UserId, ...] = ()
    states: Mapping[UserId, bytes] = field(default_factory=dict)
    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
