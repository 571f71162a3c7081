"""What the worker asks of the rest of the matcher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from eros_common.ids import UserId
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class BatchFailedError(Exception):
    """What another process met with a batch; the text names the error and says what it said."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a batch of results and failures; the rest was fenced."""

    completed: frozenset[UserId]
    failed: frozenset[UserId]


class BatchSource(Protocol):
    """Turns leases into a program's input."""

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        """Read what the batch's program needs. Off the event loop where it takes over 5 ms.

        Raises StoreUnavailableError where what it reads from is not there: the batch is given back.
        Raises anything else: every row then fails with the message, and is retried. It is cancelled
        when the worker halts; whoever is halted meanwhile is left out afterwards.
        """
        ...


class ResultSink(Protocol):
    """Keeps results."""

    async def write(
        self, connection: PoolConnectionProxy, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        """Write within the caller's open transaction, which holds the jobs' fences.

        `rows` are only those whose token is still live (their job rows are locked until commit).
        The caller completes the jobs in the same transaction. Raising rolls all of it back.
        """
        ...

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        """The transaction of `write` is committed: fill caches. Must not raise for a dead cache."""
        ...


class Batches(Protocol):
    """All that is done for a batch and is no halt."""

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        """See `BatchSource.prepare`."""
        ...

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
    ) -> Settlement:
        """One transaction: complete, write the results of what was live; and fail the failures.

        Raises StoreUnavailableError, also where what should do it is gone: what was committed by
        then is not known. And what `ResultSink.write` raises: nothing is kept then.
        """
        ...
