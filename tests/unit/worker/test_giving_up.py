"""A worker that meets an error of its own ends, instead of holding a batch for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from eros_common.ids import JobToken
from eros_matcher.worker import events as ev
from eros_matcher.worker.jobs import Held, JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import Settlement
from eros_matcher.worker.runtime import Worker, WorkerGaveUpError
from eros_matcher.worker.store_fence import CheckpointGroup
from tests.unit.worker.batches import batch, prepared


class NoStream:
    def __init__(self, _: Callable[[ev.Event], None]) -> None: ...

    def send(self, _: Any) -> None: ...

    def send_status(self, **_: Any) -> None: ...

    def close(self) -> None: ...


class Store:
    def __init__(self) -> None:
        self.kept = asyncio.Event()

    async def checkpoint(self, groups: Sequence[CheckpointGroup]) -> dict[Held, JobToken]:
        self.kept.set()
        return {job: JobToken(job.token + 1) for group in groups for job in group.jobs()}


class Batches:
    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        return prepared(batch)

    async def settle(
        self, kind: JobKind, results: Sequence[RowResult], failures: Sequence[tuple[Lease, str]]
    ) -> Settlement:
        raise AssertionError("nothing was computed")


async def test_a_child_that_cannot_be_started_again_is_the_workers_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store()
    worker = Worker(stream_of=NoStream, store=store, batches=Batches())  # type: ignore[arg-type]
    running = asyncio.create_task(worker.run())
    halting = asyncio.create_task(worker.halts.run())

    def refused() -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(worker.computing, "start", refused)
    worker.dispatch(ev.Connected())
    worker.dispatch(ev.Welcomed(frozenset()))
    worker.dispatch(ev.Leased(100.0, 130.0, batch(3)))
    worker.dispatch(ev.ChildDied(101.0, -9))
    with pytest.raises(WorkerGaveUpError, match="Resource temporarily unavailable"):
        await asyncio.wait_for(running, 20)
    # Whoever ends it lets it give back what it holds.
    worker.dispatch(ev.DrainAsked(102.0, leaving=True))
    await asyncio.wait_for(store.kept.wait(), 20)
    halting.cancel()
    await worker.close()
