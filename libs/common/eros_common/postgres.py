"""PostgreSQL: one pool per process, in the service's own role."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import asyncpg
from pydantic import SecretStr

from eros_common import logging
from eros_common.errors import Unavailable

log = logging.get("postgres")

START_SECONDS: Final = 30.0
FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 2.0
READY: Final = 4
"""Connections of a service that answers people: more are in use at once only in a rush."""

# Not there yet: worth another try while starting. Everything else (password, missing database,
# missing role) will not mend itself.
_NOT_READY: Final = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ConnectionDoesNotExistError,
    # What is asked first is cut off as all else is: a server that has just begun may be slow.
    asyncpg.QueryCanceledError,
)

AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # Of a connection that the server ended while nobody used it: its state is one too far.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # One that takes no writes: its disk is full, or another is the primary now.
    asyncpg.ReadOnlySQLTransactionError,
)
"""What a statement raises when the database is not there, stops, takes too long, takes no writes,
or lets another transaction go first: no fault of the statement, so trying again is right."""


@contextmanager
def reached() -> Iterator[None]:
    """What is done inside needs the database: ``Unavailable`` where that is away."""
    try:
        yield
    except AWAY as error:
        raise Unavailable("the database cannot be reached just now") from error


class DatabaseUnreachable(Exception):
    """PostgreSQL could not be used in time at start; the text says why, without the password."""


@asynccontextmanager
async def open_pool(
    url: SecretStr | str,
    *,
    app: str,
    role: str | None = None,
    size: int = 10,
    statement_timeout_seconds: float = 10.0,
    idle_in_transaction_seconds: float = 30.0,
    unused_seconds: float = 300.0,
    ready: int = 1,
    start_seconds: float = START_SECONDS,
    leaves_nothing: bool = False,
    plans_once: bool = False,
    waits_for_disk: bool = True,
) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections in ``role`` named ``eros-<app>``, closed at the end.

    Columns of type json and jsonb are Python values. Statements are cut off by the server after
    ``statement_timeout_seconds``, and transactions in which nothing is said for
    ``idle_in_transaction_seconds``: for so long a frozen process can hold its locks. Waits for a
    server that is not there yet, at most ``start_seconds``; raises ``DatabaseUnreachable``.

    So many connections are ``ready`` from the start: to open one takes a request as long as all the
    rest of its answer. A connection that was not used for ``unused_seconds`` is closed; 0: none is.

    ``leaves_nothing``: no use of a connection leaves a LISTEN, SET, cursor or session lock behind,
    so that giving it back needs no statement that clears them.

    ``plans_once``: a statement is planned once a connection, whatever it is given. Right for the
    few whose plan is always the same and costs as much as what they do.

    ``waits_for_disk``: False: a server that dies may forget what was committed in the last second;
    nothing that was committed after it on any other connection is kept then either.
    """
    dsn = url.get_secret_value() if isinstance(url, SecretStr) else url
    settings = {
        "application_name": f"eros-{app}",
        "statement_timeout": str(round(statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(round(idle_in_transaction_seconds * 1000)),
        "timezone": "UTC",
    }
    if not waits_for_disk:
        settings["synchronous_commit"] = "off"
    if plans_once:
        settings["plan_cache_mode"] = "force_generic_plan"
    if role is not None:
        settings["role"] = role
    kind = _Unchanged if leaves_nothing else _Writing
    pool = await _connect(dsn, settings, size, start_seconds, kind, unused_seconds, ready)
    try:
        yield pool
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            log.warning("close_slow", app=app)
            pool.terminate()


class _Writing(asyncpg.Connection):
    """Where it takes no writes it is used once: the next may reach whoever is the primary then."""

    async def reset(self, *, timeout: float | None = None) -> None:
        await super().reset(timeout=timeout)
        told = self.get_settings()  # by the server, from version 14 on, whenever they change
        names = ("in_hot_standby", "default_transaction_read_only")
        if any(getattr(told, name, "off") == "on" for name in names):
            self.terminate()


class _Unchanged(_Writing):
    """Is given back as it was taken; an open transaction is rolled back all the same."""

    def get_reset_query(self) -> str:
        return ""


async def _connect(
    dsn: str,
    settings: dict[str, str],
    size: int,
    start_seconds: float,
    kind: type[asyncpg.Connection],
    unused_seconds: float,
    ready: int,
) -> asyncpg.Pool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + start_seconds
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=min(ready, size),
                max_size=size,
                timeout=5,
                command_timeout=30,
                max_inactive_connection_lifetime=unused_seconds,
                server_settings=settings,
                init=_init,
                connection_class=kind,
            )
        except _NOT_READY as error:
            if loop.time() + wait > deadline:
                raise DatabaseUnreachable(
                    f"DATABASE_URL: not reachable for {start_seconds:.0f} s: {_reason(error)}"
                ) from None
            log.info("waiting", reason=_reason(error))
        except asyncpg.PostgresError as error:
            raise DatabaseUnreachable(f"DATABASE_URL: refused: {_reason(error)}") from None
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            raise DatabaseUnreachable(f"DATABASE_URL: {type(error).__name__}") from None
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def _init(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
