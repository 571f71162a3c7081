"""What a cache could not be told to drop, owed to it in a table of the service's database.

Each row says what is to be dropped; whichever process reaches the cache makes up for it: it deletes
rows, tells the cache, and commits. In that order: whoever owes one of them again meanwhile waits
for the delete and leaves a new row, also with ``ON CONFLICT DO NOTHING``. A row that were only
locked until the cache is told, and deleted then, would count for the new drop, too, and go with the
old one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg

from eros_common import logging, postgres
from eros_common.clocks import Clock

log = logging.get("owed_drops")

_AT_ONCE: Final = 200

Owed = Sequence[asyncpg.Record]
"""Rows of the table."""
Drop = Callable[[Owed], Awaitable[bool]]
"""Tells the cache of some rows; False where it does not answer."""


class _OwedStill(Exception):
    """Raised so that the rows stay."""


class OwedDrops:
    """The drops that ``table`` holds, tried every so many seconds (wall)."""

    def __init__(
        self, pool: asyncpg.Pool, table: str, drop: Drop, clock: Clock, every_seconds: float
    ) -> None:
        self._pool = pool
        self._table = table
        self._drop = drop
        self._clock = clock
        self._every_seconds = every_seconds
        self._take = f"""
            DELETE FROM {table} WHERE ctid IN (
                SELECT ctid FROM {table} LIMIT $1 FOR UPDATE SKIP LOCKED
            ) RETURNING *
        """  # noqa: S608 - the service's own name

    async def make_up(self) -> int:
        """Makes up for all of them; how many. What the cache does not hear of stays owed."""
        made_up = 0
        try:
            while some := await self._some():
                made_up += some
        except _OwedStill:
            pass
        return made_up

    async def run(self) -> None:
        """Makes up for them again and again; a background task that outlives an absent database."""
        while True:
            await self._clock.sleep(self._every_seconds)
            try:
                if made_up := await self.make_up():
                    log.info("made_up", table=self._table, rows=made_up)
            except postgres.AWAY as error:
                log.warning("wait", table=self._table, error=repr(error))

    async def _some(self) -> int:
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self._take, _AT_ONCE)
            if rows and not await self._drop(rows):
                raise _OwedStill
        return len(rows)
