"""A worker over a matrix and a table, in the test's process or (as a program) in its own.

`python -m tests.integration.worker.workers ADDRESS KEY_FILE` reads DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import grpc

from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import postgres
from eros_common.auth import ServiceIdentity
from eros_common.channel import open_channel
from eros_common.ids import UserId
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker.batches import BatchWork
from eros_matcher.worker.jobs import JobKind, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import BatchSource, ResultSink
from eros_matcher.worker.runtime import Worker
from eros_matcher.worker.store_fence import PostgresFenceStore
from eros_matcher.worker.stream import WorkStream
from tests.unit.worker.matrix_program import matrix_spec

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

ROWS = 12
SILENCE_SECONDS = 1.0
SPEC = matrix_spec(
    rows=ROWS,
    columns=120_000,
    tile=64,
    factory="tests.unit.worker.matrix_program:open_small_steps",
)


class MatrixSource(BatchSource):
    """Row n of the same matrix for the n-th person of a full batch, by name."""

    def __init__(self) -> None:
        self.spec: BatchSpec = SPEC

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        return PreparedBatch(spec=self.spec, users=tuple(lease.user_id for lease in batch.leases))


class TableSink(ResultSink):
    """Results as rows of a table of the matcher's."""

    def __init__(self) -> None:
        self.filled: list[UserId] = []

    async def write(
        self, connection: PoolConnectionProxy, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        del kind
        await connection.executemany(
            "INSERT INTO matcher.test_results (user_id, result) VALUES ($1, $2)",
            [(row.lease.user_id, row.result) for row in rows],
        )

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        del kind
        self.filled += [row.lease.user_id for row in rows]


@asynccontextmanager
async def running_worker(
    channel: grpc.aio.Channel, pool: asyncpg.Pool, source: BatchSource, sink: ResultSink
) -> AsyncIterator[Worker]:
    store = PostgresFenceStore(pool)
    worker = Worker(
        stream_of=lambda on_event: WorkStream(
            SchedulerServiceStub(channel),
            on_event,
            worker_id="w",
            kinds=(JobKind.MATCH,),
            silence_seconds=SILENCE_SECONDS,
        ),
        store=store,
        batches=BatchWork(store, source, sink),
    )
    worker.computing.start()
    tasks = [
        asyncio.create_task(run()) for run in (worker.run, worker.halts.run, worker.stream.run)
    ]
    try:
        yield worker
    finally:
        await worker.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def connected_worker(
    database_url: str,
    address: str,
    identity: ServiceIdentity,
    source: BatchSource,
    sink: ResultSink,
) -> AsyncIterator[Worker]:
    async with (
        postgres.open_pool(database_url, app="worker", role="eros_matcher", size=4) as pool,
        open_channel(address, audience="scheduler", identity=identity, retry=False) as channel,
        running_worker(channel, pool, source, sink) as worker,
    ):
        yield worker


async def main(address: str, key_file: str) -> None:
    identity = ServiceIdentity.from_file("worker", Path(key_file))
    url = os.environ["DATABASE_URL"]
    async with connected_worker(url, address, identity, MatrixSource(), TableSink()) as worker:
        print(worker.computing.child.pid, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
