"""The batch process as a real one: asked, answered, given up, gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from eros_common import telemetry
from eros_common.ids import BatchId
from eros_matcher.worker.batch_process import PINGS_MOST, BatchProcess, BatchProcessGoneError
from eros_matcher.worker.jobs import JobKind, LeasedBatch, RowResult
from eros_matcher.worker.messages import Learned
from eros_matcher.worker.ports import BatchFailedError, Settlement
from eros_matcher.worker.store_fence import StoreUnavailableError
from tests.integration.worker import batch_program
from tests.unit.worker.batches import lease, user


def batch(what: str) -> LeasedBatch:
    leases = tuple(lease(row) for row in range(3))
    return LeasedBatch(
        BatchId(what), JobKind.MATCH, 0.95, leases, datetime(2026, 11, 24, tzinfo=UTC)
    )


def _unheard(told: Learned) -> None:
    raise AssertionError(f"nobody learned: {told}")


@asynccontextmanager
async def begun(
    on_learned: Callable[[Learned], None] = _unheard, *, ping_seconds: float = 10.0
) -> AsyncIterator[BatchProcess]:
    process = BatchProcess(on_learned, module=batch_program.__name__, ping_seconds=ping_seconds)
    await process.start()
    running = asyncio.create_task(process.run())
    try:
        await asyncio.wait_for(process.ready(), 20)
        yield process
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, BatchProcessGoneError):
            await running
        await process.close()


@pytest.fixture
async def process() -> AsyncIterator[BatchProcess]:
    async with begun() as process:
        yield process


async def test_a_batch_is_prepared_and_settled(process: BatchProcess) -> None:
    prepared = await process.prepare(batch(batch_program.ECHO))
    assert prepared.users == tuple(user(row) for row in range(3))

    results = [RowResult(lease(0), b"kept"), RowResult(lease(1), b"fenced" * 100_000)]
    settled = await process.settle(JobKind.MATCH, results, [(lease(2), "no")])
    assert settled == Settlement(frozenset({user(0)}), frozenset({user(2)}))


async def test_what_it_meets_is_told(process: BatchProcess) -> None:
    with pytest.raises(BatchFailedError, match=r"^ValueError: nothing to match with$"):
        await process.prepare(batch(batch_program.RAISE))
    with pytest.raises(StoreUnavailableError, match="starting up"):
        await process.prepare(batch(batch_program.AWAY))


async def test_what_nobody_waits_for_is_given_up(process: BatchProcess) -> None:
    waiting = asyncio.create_task(process.prepare(batch(batch_program.WAIT)))
    await asyncio.sleep(0)  # asks first
    # Whoever asks later is answered at once, and finds it waiting.
    assert (await process.prepare(batch(batch_program.SAY))).users == ()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert (await process.prepare(batch(batch_program.SAY))).users == (user(0),)


async def test_the_worker_is_told_of_what_was_learned() -> None:
    told: list[Learned] = []
    async with begun(told.append) as process:
        await process.prepare(batch(batch_program.LEARN))
        assert told == [batch_program.LEARNED]


async def test_its_memory_is_measured_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr(telemetry, "meter", lambda: provider.get_meter("test"))

    def measured() -> list[float]:
        found: Any = reader.get_metrics_data()
        metrics = [
            metric
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        assert {metric.name for metric in metrics} <= {"eros.worker.batches.memory"}
        return [point.value for metric in metrics for point in metric.data.data_points]

    async with begun():
        (resident,) = measured()
        assert 10e6 < resident < 1e9, "an interpreter and its modules"
    assert measured() == []


async def test_its_end_is_the_workers() -> None:
    process = BatchProcess(_unheard, module=batch_program.__name__)
    await process.start()
    running = asyncio.create_task(process.run())
    dying = asyncio.create_task(process.prepare(batch(batch_program.DIE)))
    with pytest.raises(BatchProcessGoneError):
        await asyncio.wait_for(running, 20)
    with pytest.raises(StoreUnavailableError):
        await dying
    await process.close()


async def test_one_that_hangs_is_killed_and_one_that_is_slow_is_not() -> None:
    ping_seconds = 0.25
    async with begun(ping_seconds=ping_seconds) as process:
        waiting = asyncio.create_task(process.prepare(batch(batch_program.WAIT)))
        # Longer than one that hangs is let.
        done, _ = await asyncio.wait({waiting}, timeout=ping_seconds * (PINGS_MOST + 2))
        assert not done
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(waiting, 20)


async def test_results_that_it_took_with_it_can_still_be_given_back(process: BatchProcess) -> None:
    """And nobody waits for an answer that does not come."""
    results = [RowResult(lease(0), b"kept")]
    for _ in range(2):
        settling = process.settle(JobKind.MATCH, results, [(lease(1), batch_program.DIE)])
        with pytest.raises(StoreUnavailableError, match="batch process is gone"):
            await asyncio.wait_for(settling, 20)
