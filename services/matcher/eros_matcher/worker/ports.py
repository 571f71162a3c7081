"""What the worker asks of the rest of the matcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg

from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker.jobs import JobKind, LeasedBatch, RowResult


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch ready to compute.

    `users` are the people computed, in the order of the rows of `spec`. `settled` are those that
    need no computing (no longer in the market, account gone): `ResultSink.write` gets them with
    `result=None` and they are completed at once. `spec` is None when all are settled.
    """

    spec: BatchSpec | None
    users: tuple[UUID, ...]
    settled: tuple[UUID, ...] = ()


class BatchSource(Protocol):
    """Turns leases into a program's input."""

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        """Read what the batch's program needs. Off the event loop where it takes over 5 ms.

        Raises anything: every row of the batch then fails with the message, and is retried. It is
        cancelled when the worker halts; whoever is halted meanwhile is left out afterwards.
        """
        ...


class ResultSink(Protocol):
    """Keeps results."""

    async def write(
        self, connection: asyncpg.Connection, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        """Write within the caller's open transaction, which holds the jobs' fences.

        `rows` are only those whose token is still live (their job rows are locked until commit).
        The caller completes the jobs in the same transaction. Raising rolls all of it back.
        """
        ...

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        """The transaction of `write` is committed: fill caches. Must not raise for a dead cache."""
        ...
