"""Drops that are owed to the cache, in PostgreSQL."""

from __future__ import annotations

from typing import Final

from eros_accounts.store_database import Database
from eros_common.ids import UserId

_OWE: Final = """
INSERT INTO accounts.cache_drops AS d (user_id, version) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET version = greatest(d.version, excluded.version)
"""


class PostgresCacheDrops:
    """The port ``CacheDrops``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owe(self, user_id: UserId, version: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_OWE, user_id, version)
