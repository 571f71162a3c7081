"""People who are gone, taken out of others' lists.

What a person had of their own goes with the account (`matcher.forget`). Where others' rows name
them there is no index: all who left since are looked for in one walk over the tables. Nobody is
shown them meanwhile, because accounts no longer knows them. Done twice, the second time when every
list that was being made when they left is long finished. A month later the last that is left of
them goes: the empty row of features by which market files learned of it, and the note itself.

The walk locks nobody. Whoever's lists it finds are locked and changed after it, some at a time, so
that nobody waits for longer than that takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from eros_common import logging
from eros_common.ids import UserId
from eros_matcher.ports import ListCache
from eros_matcher.store_actions import drop_lists
from eros_matcher.store_locks import lock_alone

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

log = logging.get("matcher.erasures")

AGAIN_SECONDS: Final = 900.0
KEPT_DAYS: Final = 30.0
"""Longer than any host goes without a new market file."""
_AT_ONCE: Final = 1000
_LISTS_AT_ONCE: Final = 200
_WALK_SECONDS: Final = 600.0
"""Whole tables are walked over: that may take longer than what a person waits for."""

_DUE: Final = """
SELECT user_id, swept_at IS NOT NULL AS again FROM matcher.erasures
WHERE finished_at IS NULL
    AND (swept_at IS NULL OR swept_at < clock_timestamp() - $1 * interval '1 second')
LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_NAMED: Final = """
SELECT user_id FROM matcher.recommendations WHERE others && $1
UNION SELECT user_id FROM matcher.matches WHERE other_id = ANY ($1)
"""
_FROM_RECOMMENDATIONS: Final = """
UPDATE matcher.recommendations r SET
    others = k.others, scores = k.scores, distances = k.distances, reasons = k.reasons
FROM (
    SELECT r.user_id, r.list_date,
        coalesce(array_agg(o.other ORDER BY o.place) FILTER (WHERE o.stays), '{}') AS others,
        coalesce(array_agg(o.score ORDER BY o.place) FILTER (WHERE o.stays), '{}') AS scores,
        coalesce(array_agg(o.distance ORDER BY o.place) FILTER (WHERE o.stays), '{}') AS distances,
        coalesce(array_agg(o.reason ORDER BY o.place) FILTER (WHERE o.stays), '{}') AS reasons
    FROM matcher.recommendations r
    CROSS JOIN LATERAL (
        SELECT u.*, u.other <> ALL ($1) AS stays
        FROM unnest(r.others, r.scores, r.distances, r.reasons)
            WITH ORDINALITY u(other, score, distance, reason, place)
    ) o
    WHERE r.user_id = ANY ($2) AND r.others && $1
    GROUP BY r.user_id, r.list_date
) k
WHERE r.user_id = k.user_id AND r.list_date = k.list_date
"""
_FROM_MATCHES: Final = (
    "DELETE FROM matcher.matches WHERE user_id = ANY ($2) AND other_id = ANY ($1)"
)
_FROM_THE_REST: Final = (
    "DELETE FROM matcher.decisions WHERE other_id = ANY ($1)",
    "SELECT matcher.forget_actions_with($1)",
    "DELETE FROM matcher.blocks WHERE other_id = ANY ($1)",
    "DELETE FROM matcher.hidden WHERE other_id = ANY ($1)",
    # They are searched for anew.
    "DELETE FROM matcher.kept WHERE others && $1",
)

_FORGET: Final = """
WITH old AS (
    DELETE FROM matcher.erasures WHERE finished_at < clock_timestamp() - $1 * interval '1 day'
    RETURNING user_id
)
DELETE FROM matcher.features f USING old WHERE f.user_id = old.user_id AND NOT f.in_market
"""


class PostgresErasures:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool, cache: ListCache) -> None:
        self._pool = pool
        self._cache = cache

    async def sweep(self, again_seconds: float = AGAIN_SECONDS) -> int:
        """Takes out whoever left; how many people that were."""
        async with self._pool.acquire() as connection:
            async with connection.transaction():
                # Whoever else sweeps at the same time leaves these out.
                due = await connection.fetch(_DUE, again_seconds, _AT_ONCE)
                if not due:
                    return 0
                gone = [row["user_id"] for row in due]
                await _take_time(connection)
                rows = await connection.fetch(_NAMED, gone, timeout=_WALK_SECONDS)
            named = [row["user_id"] for row in rows]
            for start in range(0, len(named), _LISTS_AT_ONCE):
                await self._take_out(connection, gone, named[start : start + _LISTS_AT_ONCE])
            async with connection.transaction():
                await _take_time(connection)
                for statement in _FROM_THE_REST:
                    await connection.execute(statement, gone, timeout=_WALK_SECONDS)
                for column, again in (("swept_at", False), ("finished_at", True)):
                    await connection.execute(
                        f"UPDATE matcher.erasures SET {column} = clock_timestamp() "  # noqa: S608
                        "WHERE user_id = ANY ($1)",
                        [row["user_id"] for row in due if row["again"] is again],
                    )
        log.info("swept", people=len(gone), lists=len(named))
        return len(gone)

    async def _take_out(
        self, connection: PoolConnectionProxy, gone: Sequence[UserId], named: Sequence[UserId]
    ) -> None:
        """Out of the lists of these people. Locked first, as by whoever else changes lists: else
        two could wait for each other's rows, and who is copying the old lists to the cache would
        put them there after they were dropped."""
        async with connection.transaction():
            await lock_alone(connection, named)
            await connection.execute(_FROM_RECOMMENDATIONS, gone, named)
            await connection.execute(_FROM_MATCHES, gone, named)
            await drop_lists(connection, self._cache, named)

    async def forget(self, kept_days: float = KEPT_DAYS) -> None:
        """Removes what is left of whoever is taken out of everything since so many days."""
        await self._pool.execute(_FORGET, kept_days)


async def _take_time(connection: PoolConnectionProxy) -> None:
    """The server cuts off none of this transaction's statements."""
    await connection.execute("SET LOCAL statement_timeout = 0")
