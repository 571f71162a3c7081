"""Tokens of the model that a person used on a day, in PostgreSQL.

While the database is away nobody has any left.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import asyncpg

from eros_assistant.ports import ModelUnavailable
from eros_common.ids import UserId
from eros_common.postgres import AWAY, reached

_KEPT_DAYS: Final = 7
# One statement: of those at the same time each sees what the ones before it took.
_RESERVE: Final = """
INSERT INTO assistant.model_use AS u SELECT $1::uuid, $2::date, $3::integer WHERE $3 <= $4::integer
ON CONFLICT (user_id, day) DO UPDATE SET tokens = u.tokens + $3 WHERE u.tokens + $3 <= $4
RETURNING true
"""
# Not for whoever was deleted meanwhile.
_SETTLE: Final = """
UPDATE assistant.model_use SET tokens = greatest(tokens + $3, 0) WHERE user_id = $1 AND day = $2
"""


class PostgresModelUse:
    """See `eros_assistant.ports.ModelUse`. In the role `eros_assistant`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def reserve(self, user: UserId, tokens: int, budget: int, now: datetime) -> bool:
        try:
            reserved = await self._pool.fetchval(_RESERVE, user, now.date(), tokens, budget)
        except AWAY:
            raise ModelUnavailable("budget_unknown") from None
        return bool(reserved)

    async def settle(self, user: UserId, tokens: int, now: datetime) -> None:
        try:
            await self._pool.execute(_SETTLE, user, now.date(), tokens)
        except AWAY:
            raise ModelUnavailable("budget_unknown") from None

    async def sweep(self, now: datetime) -> None:
        """Forget days that no budget asks for any more."""
        before = now.date() - timedelta(days=_KEPT_DAYS)
        with reached():
            await self._pool.execute("DELETE FROM assistant.model_use WHERE day < $1", before)
