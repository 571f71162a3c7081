"""The job rows' fences, through the scheduler's published SQL functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import asyncpg

from eros_common import postgres
from eros_common.ids import JobToken, UserId
from eros_matcher.worker.jobs import Held, JobKind, Lease, LeasedBatch, RowResult
from eros_matcher.worker.ports import ResultSink

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_CHECKPOINT = """SELECT user_id, token FROM scheduler.checkpoint(
    $1::uuid[], $2::smallint, $3::bigint[], $4::bytea[], $5)"""
_CHECKPOINTS = """SELECT user_id, checkpoint FROM scheduler.checkpoints(
    $1::uuid[], $2::smallint, $3::bigint[])"""
_COMPLETE = """SELECT user_id FROM scheduler.complete(
    $1::uuid[], $2::smallint, $3::bigint[], $4::timestamptz[])"""
_FAIL = """SELECT user_id FROM scheduler.fail(
    $1::uuid[], $2::smallint, $3::bigint[], $4::text[])"""


class StoreUnavailableError(Exception):
    """The database, or what else a batch needs, is not there; whether a transaction was committed
    is not known."""


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """`data` is stored as it is; None leaves what is stored."""

    user_id: UserId
    token: JobToken
    data: bytes | None


@dataclass(frozen=True, slots=True)
class CheckpointGroup:
    """Rows of one kind halted for one reason."""

    kind: JobKind
    reason: str
    rows: tuple[CheckpointRow, ...]

    def jobs(self) -> tuple[Held, ...]:
        """The rows by the fences they are held under."""
        return tuple(Held(row.user_id, self.kind, row.token) for row in self.rows)


@dataclass(frozen=True, slots=True)
class SettledRows:
    """What became of a batch of results and failures; the rest was fenced."""

    completed: tuple[RowResult, ...]
    failed: frozenset[UserId]


class CheckpointStore(Protocol):
    """What a halt needs of the database."""

    async def checkpoint(self, groups: Sequence[CheckpointGroup]) -> dict[Held, JobToken]:
        """One transaction: store, raise the fences. The new tokens of those that were
        live, by the job as it was held.

        Raises StoreUnavailableError.
        """
        ...


class BatchStore(Protocol):
    """What a batch needs of the job rows: whatever is read or written goes through their fences."""

    async def checkpoints(self, batch: LeasedBatch) -> dict[UserId, bytes]:
        """What is stored of those who are still held.

        Raises StoreUnavailableError.
        """
        ...

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
        sink: ResultSink,
    ) -> SettledRows:
        """One transaction: complete, write the results of what was live; and fail the failures.

        Raises StoreUnavailableError; what `sink.write` raises is raised, and nothing is kept.
        """
        ...


class PostgresFenceStore:
    """Fences in the scheduler's schema, called in the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def checkpoint(self, groups: Sequence[CheckpointGroup]) -> dict[Held, JobToken]:
        tokens: dict[Held, JobToken] = {}
        try:
            async with self._pool.acquire() as connection:
                if len(groups) == 1:
                    # One statement is one transaction: a round trip instead of three.
                    await _checkpoint(connection, groups[0], tokens)
                else:
                    async with connection.transaction():
                        for group in groups:
                            await _checkpoint(connection, group, tokens)
        except postgres.AWAY as error:
            raise StoreUnavailableError(str(error)) from error
        return tokens

    async def checkpoints(self, batch: LeasedBatch) -> dict[UserId, bytes]:
        try:
            found = await self._pool.fetch(
                _CHECKPOINTS,
                [lease.user_id for lease in batch.leases],
                int(batch.kind),
                [lease.token for lease in batch.leases],
            )
        except postgres.AWAY as error:
            raise StoreUnavailableError(str(error)) from error
        return {UserId(row["user_id"]): row["checkpoint"] for row in found}

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
        sink: ResultSink,
    ) -> SettledRows:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                completed = await _complete(connection, kind, results, sink)
                failed = await _fail(connection, kind, failures)
        except postgres.AWAY as error:
            raise StoreUnavailableError(str(error)) from error
        return SettledRows(completed, failed)

    async def warm(self) -> None:
        """Prepare the statement that a halt waits for."""
        await self.checkpoint([CheckpointGroup(JobKind.MATCH, "", ())])


async def _checkpoint(
    connection: PoolConnectionProxy, group: CheckpointGroup, tokens: dict[Held, JobToken]
) -> None:
    found = await connection.fetch(
        _CHECKPOINT,
        [row.user_id for row in group.rows],
        int(group.kind),
        [row.token for row in group.rows],
        [row.data for row in group.rows],
        group.reason,
    )
    held = {job.user_id: job for job in group.jobs()}
    tokens.update((held[UserId(row["user_id"])], JobToken(row["token"])) for row in found)


async def _complete(
    connection: PoolConnectionProxy, kind: JobKind, results: Sequence[RowResult], sink: ResultSink
) -> tuple[RowResult, ...]:
    if not results:
        return ()
    # The fence first: whoever it lets through is locked until the commit, so that what is written
    # for them below is kept together with it or not at all.
    done = await connection.fetch(
        _COMPLETE,
        [row.lease.user_id for row in results],
        int(kind),
        [row.lease.token for row in results],
        [row.lease.next_due_at for row in results],
    )
    live = {row["user_id"] for row in done}
    kept = tuple(row for row in results if row.lease.user_id in live)
    if kept:
        await sink.write(connection, kind, kept)
    return kept


async def _fail(
    connection: PoolConnectionProxy, kind: JobKind, failures: Sequence[tuple[Lease, str]]
) -> frozenset[UserId]:
    if not failures:
        return frozenset()
    found = await connection.fetch(
        _FAIL,
        [lease.user_id for lease, _ in failures],
        int(kind),
        [lease.token for lease, _ in failures],
        [error for _, error in failures],
    )
    return frozenset(UserId(row["user_id"]) for row in found)
