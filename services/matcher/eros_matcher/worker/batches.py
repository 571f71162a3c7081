"""Preparing and settling batches in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from eros_common import logging
from eros_matcher.worker.checkpoints import resume_all
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import BatchSource, ResultSink, Settlement
from eros_matcher.worker.store_fence import BatchStore

log = logging.get("worker.batches")

FILLS_MOST: Final = 16
"""Batches of results whose caches are being filled: a thousand people's. Of more the cache is told
nothing, as where it is away."""


class BatchWork:
    """`eros_matcher.worker.ports.Batches`. Nobody waits for caches to be filled."""

    def __init__(self, store: BatchStore, source: BatchSource, sink: ResultSink) -> None:
        self._store = store
        self._source = source
        self._sink = sink
        self._filling: set[asyncio.Task[None]] = set()

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        prepared = await self._source.prepare(batch)
        if prepared.spec is None:
            return prepared
        stored = await self._store.checkpoints(batch)
        # Here, and not where halts are waited for; nor on the loop that answers the worker.
        states, verdicts = await asyncio.to_thread(
            resume_all, stored, prepared.users, prepared.spec
        )
        return replace(prepared, states=states, verdicts=verdicts)

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
    ) -> Settlement:
        settled = await self._store.settle(kind, results, failures, self._sink)
        if settled.completed and self._may_fill(kind, len(settled.completed)):
            task = asyncio.create_task(self._fill(kind, settled.completed))
            self._filling.add(task)
            task.add_done_callback(self._filling.discard)
        completed = frozenset(row.lease.user_id for row in settled.completed)
        return Settlement(completed, settled.failed)

    def _may_fill(self, kind: JobKind, people: int) -> bool:
        if len(self._filling) < FILLS_MOST or kind is JobKind.LEARN:  # that is one a night
            return True
        log.warning("not_filled", people=people, error=f"{FILLS_MOST} are being filled")
        return False

    async def finish(self, seconds: float) -> None:
        """Let caches be filled for so long; what is not filled then is read from the database."""
        if self._filling:
            await asyncio.wait(self._filling, timeout=seconds)
        for task in self._filling:
            task.cancel()
        await asyncio.gather(*self._filling, return_exceptions=True)

    async def _fill(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        try:
            await self._sink.committed(kind, rows)
        except Exception:
            log.exception("not_filled", people=len(rows))
