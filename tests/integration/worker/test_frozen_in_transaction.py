"""A worker that is frozen while it commits results: its rows are free soon, and nothing is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from eros_common import postgres
from eros_common.ids import JobToken, UserId
from eros_matcher.worker.jobs import JobKind, Lease, RowResult
from eros_matcher.worker.store_fence import PostgresFenceStore, StoreUnavailableError
from tests.integration.worker.scheduler import JobRows
from tests.integration.worker.workers import TableSink
from tests.unit.worker.batches import NIGHT

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

SHORT_SECONDS = 0.2


class FreezingSink(TableSink):
    """Says nothing to the database, in the middle of the transaction, until it thaws."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.thawed = asyncio.Event(), asyncio.Event()

    async def write(
        self, connection: PoolConnectionProxy, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        self.frozen.set()
        await self.thawed.wait()
        await super().write(connection, kind, rows)


async def test_it_loses_its_rows_and_its_results(postgres_url: str) -> None:
    sink = FreezingSink()
    who = UserId(uuid4())
    admin = await asyncpg.connect(postgres_url)
    try:
        jobs = await JobRows.create(admin)
        (leased,) = (await jobs.lease([who])).leases
        lease = Lease(who, JobToken(leased.token), NIGHT, date(2026, 11, 24))
        async with postgres.open_pool(
            postgres_url,
            app="worker",
            role="eros_matcher",
            idle_in_transaction_seconds=SHORT_SECONDS,
        ) as pool:
            settling = asyncio.create_task(
                PostgresFenceStore(pool).settle(
                    JobKind.MATCH, [RowResult(lease, b"late")], [], sink
                )
            )
            await sink.frozen.wait()
            # Waits until the row is let go of, and takes it.
            await asyncio.wait_for(jobs.redo([who], b"newer"), 10)
            sink.thawed.set()
            with pytest.raises(StoreUnavailableError):
                await settling
            # The pool has connections that can be used.
            assert await pool.fetchval("SELECT 1") == 1
        assert await jobs.results() == {who: b"newer"}
        assert (await jobs.row(who))["token"] == lease.token + 1
    finally:
        await admin.close()
