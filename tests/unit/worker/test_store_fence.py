"""What the database raises when it is not there is no fault of the jobs, and ends no worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from eros_matcher.worker.jobs import JobKind, RowResult
from eros_matcher.worker.store_fence import PostgresFenceStore, StoreUnavailableError
from tests.unit.worker.test_halts import group

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy


class Refusing:
    """A pool that raises in place of giving a connection."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def acquire(self) -> Any:
        raise self._error


class NoSink:
    async def write(
        self, connection: PoolConnectionProxy, kind: JobKind, rows: Sequence[RowResult]
    ) -> None:
        raise AssertionError("there is no connection")

    async def committed(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        raise AssertionError("nothing was committed")


@pytest.mark.parametrize(
    "error",
    [
        # Of a connection that the server ended while it lay in the pool.
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.DeadlockDetectedError("deadlock detected"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_away_is_told_as_that(error: Exception) -> None:
    store = PostgresFenceStore(cast("asyncpg.Pool", Refusing(error)))
    with pytest.raises(StoreUnavailableError):
        await store.checkpoint([group(1)])
    with pytest.raises(StoreUnavailableError):
        await store.settle(JobKind.MATCH, [], [], NoSink())


async def test_what_is_the_statements_fault_is_raised_as_it_is() -> None:
    error = asyncpg.UndefinedFunctionError("function scheduler.checkpoint does not exist")
    store = PostgresFenceStore(cast("asyncpg.Pool", Refusing(error)))
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await store.checkpoint([group(1)])
