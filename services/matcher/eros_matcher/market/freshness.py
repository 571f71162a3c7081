"""Whether people changed since a market file was built."""

from __future__ import annotations

import asyncpg

from eros_matcher.market.files import MarketStamp

# A row is news if the transaction that wrote it was not over when the file's snapshot was taken.
_CHANGED = """
SELECT EXISTS (
    SELECT FROM matcher.features
    WHERE written >= pg_snapshot_xmin($1::text::pg_snapshot)
        AND NOT pg_visible_in_snapshot(written, $1::text::pg_snapshot)
)
"""


async def is_stale(pool: asyncpg.Pool, stamp: MarketStamp) -> bool:
    """Whether anybody's features were written since."""
    changed: bool = await pool.fetchval(_CHANGED, stamp.snapshot)
    return changed
