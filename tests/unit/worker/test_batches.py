"""A result is settled when it is committed, not when it is in the cache."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from eros_common.ids import UserId
from eros_matcher.worker.batches import FILLS_MOST, BatchWork
from eros_matcher.worker.checkpoints import Stamp, Verdict, encode
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import ResultSink, Settlement
from eros_matcher.worker.store_fence import SettledRows
from tests.unit.worker.batches import batch, lease, prepared, user

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

RESULTS = [RowResult(lease(0), b"a"), RowResult(lease(1), b"b")]


class Store:
    """Row 1 was fenced; row 0 was somewhere, and what is stored of row 1 is torn."""

    async def checkpoints(self, batch: LeasedBatch) -> dict[UserId, bytes]:
        spec = prepared(batch).spec
        assert spec is not None
        return {user(0): encode(Stamp.of(spec, 0), b"half"), user(1): b"torn"}

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
        sink: ResultSink,
    ) -> SettledRows:
        return SettledRows(tuple(results[:1]), frozenset(who.user_id for who, _ in failures))


class Source:
    def __init__(self, prepared: PreparedBatch | None = None) -> None:
        self._prepared = prepared

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        assert self._prepared is not None
        return self._prepared


class SlowSink:
    """Fills the cache when it is let, or not at all."""

    def __init__(self, *, fault: Exception | None = None) -> None:
        self.let = asyncio.Event()
        self.filled: list[RowResult] = []
        self._fault = fault

    async def write(self, connection: PoolConnectionProxy, kind: JobKind, rows: Any) -> None:
        raise AssertionError("the store is no real one")

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        await self.let.wait()
        if self._fault is not None:
            raise self._fault
        self.filled += rows


async def test_what_was_computed_before_comes_with_the_input() -> None:
    leased = batch(2)
    work = BatchWork(Store(), Source(prepared(leased)), SlowSink())
    assert await work.prepare(leased) == replace(
        prepared(leased, states={user(0): b"half"}),
        verdicts={Verdict.RESUMED: 1, Verdict.TORN: 1},
    )


async def test_nobody_waits_for_the_cache() -> None:
    sink = SlowSink()
    work = BatchWork(Store(), Source(), sink)
    settled = await work.settle(JobKind.MATCH, RESULTS, [(lease(2), "no")])
    assert settled == Settlement(frozenset({user(0)}), frozenset({user(2)}))
    assert sink.filled == []
    sink.let.set()
    await work.finish(10)
    assert sink.filled == RESULTS[:1]


async def test_the_end_waits_for_no_cache_that_hangs() -> None:
    sink = SlowSink()
    work = BatchWork(Store(), Source(), sink)
    await work.settle(JobKind.MATCH, RESULTS, [])
    await work.finish(0.01)
    assert sink.filled == []


async def test_a_cache_that_hangs_keeps_no_more_than_so_many_batches(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = SlowSink()
    work = BatchWork(Store(), Source(), sink)
    for _ in range(FILLS_MOST + 2):
        settled = await work.settle(JobKind.MATCH, RESULTS, [])
        assert settled.completed == {user(0)}
    assert [record.msg for record in caplog.records] == ["not_filled"] * 2
    sink.let.set()
    await work.finish(10)
    assert len(sink.filled) == FILLS_MOST
    # And from then on it is filled again.
    await work.settle(JobKind.MATCH, RESULTS, [])
    await work.finish(10)
    assert len(sink.filled) == FILLS_MOST + 1


async def test_a_cache_that_cannot_be_filled_fails_nothing_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = SlowSink(fault=ValueError("broken"))
    work = BatchWork(Store(), Source(), sink)
    sink.let.set()
    settled = await work.settle(JobKind.MATCH, RESULTS, [])
    await work.finish(10)
    assert settled.completed == {user(0)}
    assert [record.msg for record in caplog.records] == ["not_filled"]
