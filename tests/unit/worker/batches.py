"""Leases and prepared batches for tests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from eros_common.ids import BatchId, JobToken, UserId
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch
from tests.unit.worker.matrix_program import matrix_spec

NIGHT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def user(number: int) -> UserId:
    return UserId(UUID(int=number))


def lease(number: int, *, token: int = 7) -> Lease:
    return Lease(
        user_id=user(number),
        token=JobToken(token),
        next_due_at=NIGHT,
        list_date=date(2026, 11, 24),
    )


def batch(
    rows: int, *, batch_id: str = "b1", kind: JobKind = JobKind.MATCH, cpu_cap: float = 0.95
) -> LeasedBatch:
    return LeasedBatch(
        batch_id=BatchId(batch_id),
        kind=kind,
        cpu_cap=cpu_cap,
        leases=tuple(lease(number) for number in range(rows)),
        night_now=NIGHT,
    )


def prepared(
    leased: LeasedBatch,
    spec: BatchSpec | None = None,
    states: Mapping[UserId, bytes] | None = None,
) -> PreparedBatch:
    return PreparedBatch(
        spec=spec or matrix_spec(rows=len(leased.leases), columns=128),
        users=tuple(job.user_id for job in leased.leases),
        states=states or {},
    )
