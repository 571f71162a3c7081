"""What the worker speaks of: leases, their fences, what became of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import NewType
from uuid import UUID

BatchId = NewType("BatchId", str)
Token = NewType("Token", int)
"""The fence of a job: raised by every claim and every checkpoint."""


class JobKind(IntEnum):
    """What is done for a person; the numbers are those of the job rows and the protocol."""

    ANALYZE = 1
    SCORE = 2
    MATCH = 3
    PREPARE = 4
    LEARN = 5


@dataclass(frozen=True, slots=True)
class Lease:
    """One person's job, leased. `checkpoint` is as stored (with its header), None at the start.

    `next_due_at` (night clock) is when the job is due again once completed; `list_date` is the
    local date on which the person's window ends, the date of a daily list.
    """

    user_id: UUID
    token: Token
    checkpoint: bytes | None
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
