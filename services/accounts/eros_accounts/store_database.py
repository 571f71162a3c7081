"""Connections for the stores; a database that is away is ``Unavailable``, not our fault."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import asyncpg

from eros_common import postgres

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

ANALYZE: Final = 1
"""The kind of job that a change of a profile makes due, for ``scheduler.mark_due``."""


class Database:
    """The pool, with its failures as domain errors."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PoolConnectionProxy]:
        """A connection; each statement is a transaction unless one is begun. ``Unavailable`` if
        PostgreSQL cannot be reached, stops, or takes too long."""
        with postgres.reached():
            async with self._pool.acquire() as connection:
                yield connection
