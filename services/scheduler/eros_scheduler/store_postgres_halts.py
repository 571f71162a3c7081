"""The halts in PostgreSQL: appended in batches, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from eros_common.ids import UserId, WorkerId
from eros_scheduler import sql_reports
from eros_scheduler.core.model import HaltReason, HaltRecord, JobKind
from eros_scheduler.store_postgres_rows import unavailable


class PostgresHalts:
    """`HaltLog`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def append(self, records: Sequence[HaltRecord]) -> None:
        with unavailable():
            await self._pool.execute(
                sql_reports.APPEND_HALTS,
                [r.user_id for r in records],
                [r.kind for r in records],
                [r.reason for r in records],
                [r.worker for r in records],
                [r.touched_at for r in records],
                [r.event_at for r in records],
                [r.dispatched_at for r in records],
                [r.received_at for r in records],
                [r.durable_at for r in records],
                [r.left_at for r in records],
                [r.killed for r in records],
            )

    async def latest(self, *, limit: int, user_id: UserId | None) -> Sequence[HaltRecord]:
        with unavailable():
            rows = await self._pool.fetch(sql_reports.LATEST_HALTS, user_id, limit)
        return [
            HaltRecord(
                user_id=UserId(row["user_id"]),
                kind=JobKind(row["kind"]),
                reason=HaltReason(row["reason"]),
                worker=WorkerId(row["worker"]),
                touched_at=_seconds(row["touched_at"]),
                event_at=row["event_at"].timestamp(),
                dispatched_at=row["dispatched_at"].timestamp(),
                received_at=_seconds(row["received_at"]),
                durable_at=_seconds(row["durable_at"]),
                left_at=_seconds(row["left_at"]),
                killed=row["killed"],
            )
            for row in rows
        ]


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()
