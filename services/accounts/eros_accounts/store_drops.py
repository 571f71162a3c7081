"""Drops that are owed to the cache, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from eros_accounts.store_database import Database
from eros_common.ids import UserId

_AT_ONCE: Final = 200

_OWE: Final = """
INSERT INTO accounts.cache_drops AS d (user_id, version) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET version = greatest(d.version, excluded.version)
"""
_SOME: Final = "SELECT user_id, version FROM accounts.cache_drops LIMIT $1 FOR UPDATE SKIP LOCKED"
_DONE: Final = "DELETE FROM accounts.cache_drops WHERE user_id = ANY ($1)"


class PostgresCacheDrops:
    """The port ``CacheDrops``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owe(self, user_id: UserId, version: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_OWE, user_id, version)

    async def take(self, drop: Callable[[Sequence[tuple[UserId, int]]], Awaitable[None]]) -> int:
        # Whoever owes a newer version of one of these waits for the rows, and notes it anew.
        async with self._database.connection() as connection, connection.transaction():
            rows = await connection.fetch(_SOME, _AT_ONCE)
            if rows:
                await drop([(UserId(row["user_id"]), row["version"]) for row in rows])
                await connection.execute(_DONE, [row["user_id"] for row in rows])
        return len(rows)
