"""Who likes each other and who must not see each other, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from eros_common.ids import UserId
from eros_matcher.domain.mutual import After, Pair
from eros_matcher.ports import ListCache
from eros_matcher.store_actions import drop_lists
from eros_matcher.store_locks import lock_alone

_BLOCKED: Final = 2

_MUTUAL: Final = """
SELECT p.other_id, p.since, (
    SELECT a.match_id FROM matcher.actions a
    WHERE a.user_id = $1 AND a.other_id = p.other_id AND a.action = 1 ORDER BY a.id DESC LIMIT 1
) AS match_id
FROM (
    SELECT mine.other_id, greatest(mine.decided_at, theirs.decided_at) AS since
    FROM matcher.decisions mine
    JOIN matcher.decisions theirs
        ON theirs.user_id = mine.other_id AND theirs.other_id = mine.user_id AND theirs.action = 1
    WHERE mine.user_id = $1 AND mine.action = 1 AND NOT EXISTS (
        SELECT FROM matcher.hidden h WHERE h.user_id = $1 AND h.other_id = mine.other_id
    )
) p
WHERE $2::timestamptz IS NULL OR p.since < $2 OR (p.since = $2 AND p.other_id > $3)
ORDER BY p.since DESC, p.other_id
LIMIT $4
"""
_HIDE: Final = """
INSERT INTO matcher.hidden (user_id, other_id, reason, at)
VALUES ($1, $2, $3, $4), ($2, $1, $3, $4) ON CONFLICT DO NOTHING
"""
# What the other one wanted stays, and so does a report.
_SHOW: Final = """
DELETE FROM matcher.hidden h
WHERE ((h.user_id = $1 AND h.other_id = $2) OR (h.user_id = $2 AND h.other_id = $1))
    AND h.reason = $3
    AND NOT EXISTS (SELECT FROM matcher.blocks b WHERE b.user_id = $2 AND b.other_id = $1)
"""


class PostgresRelations:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool, cache: ListCache) -> None:
        self._pool = pool
        self._cache = cache

    async def mutual(self, user: UserId, after: After | None, limit: int) -> Sequence[Pair]:
        """Those behind a place, at most so many."""
        place = (None, None) if after is None else (after.since, after.other_id)
        rows = await self._pool.fetch(_MUTUAL, user, *place, limit)
        return [Pair(row["other_id"], row["since"], row["match_id"]) for row in rows]

    async def block(self, user: UserId, other: UserId, at: datetime) -> None:
        """Hides both from each other. A repeat changes nothing."""
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_alone(connection, [user, other])
            await connection.execute(
                "INSERT INTO matcher.blocks VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                *(user, other, at),
            )
            await connection.execute(_HIDE, user, other, _BLOCKED, at)
            await drop_lists(connection, self._cache, [user, other])

    async def unblock(self, user: UserId, other: UserId) -> bool:
        """Takes a block back; whether there was one."""
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_alone(connection, [user, other])
            done = await connection.execute(
                "DELETE FROM matcher.blocks WHERE user_id = $1 AND other_id = $2", user, other
            )
            was_blocked = done != "DELETE 0"
            if was_blocked:
                await connection.execute(_SHOW, user, other, _BLOCKED)
                await drop_lists(connection, self._cache, [user, other])
        return was_blocked
