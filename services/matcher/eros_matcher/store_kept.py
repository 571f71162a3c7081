"""What was kept of people's searches (`eros_matcher.domain.kept`), in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg

from eros_common.ids import UserId
from eros_matcher.domain.kept import Kept, pack

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

# Two hundred ids a person: as bytes they are no work for the worker's loop.
_OF: Final = """
SELECT user_id, since, floor, seeker,
    (SELECT string_agg(uuid_send(o), '') FROM unnest(others) o) AS ids
FROM matcher.kept WHERE user_id = ANY ($1) AND model_version = $2
"""
_SAVE: Final = """
INSERT INTO matcher.kept AS k (user_id, model_version, since, floor, seeker, others)
SELECT n.user_id, n.model_version, n.since, n.floor, n.seeker, ARRAY(
    SELECT encode(substr(n.ids, at, 16), 'hex')::uuid
    FROM generate_series(1, octet_length(n.ids), 16) at)
FROM unnest($1::uuid[], $2::integer[], $3::xid8[], $4::real[], $5::bytea[], $6::bytea[])
    n(user_id, model_version, since, floor, seeker, ids)
ORDER BY n.user_id
ON CONFLICT (user_id) DO UPDATE SET model_version = excluded.model_version,
    since = excluded.since, floor = excluded.floor, seeker = excluded.seeker,
    others = excluded.others
"""


class PostgresKept:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, users: Sequence[UserId], model_version: int) -> dict[UserId, bytes]:
        """What was kept under this model, packed."""
        rows = await self._pool.fetch(_OF, users, model_version)
        return {
            row["user_id"]: pack(Kept(row["since"], row["floor"], row["seeker"], row["ids"] or b""))
            for row in rows
        }


async def save_kept(
    connection: PoolConnectionProxy, kept: Sequence[tuple[UserId, int, Kept]]
) -> None:
    """Replace what was kept of these people; each with the version of the model."""
    await connection.execute(
        _SAVE,
        [user for user, _, _ in kept],
        [version for _, version, _ in kept],
        [one.since for _, _, one in kept],
        [one.floor for _, _, one in kept],
        [one.seeker for _, _, one in kept],
        [one.others for _, _, one in kept],
    )
