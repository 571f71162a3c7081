"""A person without a list needs one made: what the API asks of the scheduler."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from eros_common.ids import UserId

_MATCH: Final = 3


async def mark_match_due(pool: asyncpg.Pool, user: UserId, zone: str, night: datetime) -> None:
    """Make the person's match job due. No lock on lists may be held."""
    await pool.execute(
        "SELECT scheduler.mark_due($1::uuid[], $2::text[], $3::smallint, $4)",
        *([user], [zone], _MATCH, night),
    )
