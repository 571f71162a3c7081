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


class PostgresModelUse:
    """See `eros_assistant.ports.ModelUse`. In the role `eros_assistant`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def used(self, user: UserId, now: datetime) -> int:
        try:
            found = await self._pool.fetchval(
                "SELECT tokens FROM assistant.model_use WHERE user_id = $1 AND day = $2",
                user,
                now.date(),
            )
        except AWAY:
            raise ModelUnavailable("budget_unknown") from None
        return int(found or 0)

    async def add(self, user: UserId, tokens: int, now: datetime) -> None:
        try:
            await self._pool.execute(
                """
                INSERT INTO assistant.model_use VALUES ($1, $2, $3)
                ON CONFLICT (user_id, day) DO UPDATE SET tokens = model_use.tokens + $3
                """,
                user,
                now.date(),
                tokens,
            )
        except AWAY:
            raise ModelUnavailable("budget_unknown") from None

    async def sweep(self, now: datetime) -> None:
        """Forget days that no budget asks for any more."""
        before = now.date() - timedelta(days=_KEPT_DAYS)
        with reached():
            await self._pool.execute("DELETE FROM assistant.model_use WHERE day < $1", before)
