"""The audit in PostgreSQL: read here; written by the statements that lease, halt and settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from eros_common.ids import JobToken, UserId
from eros_scheduler.core.model import JobKind
from eros_scheduler.ports import AuditEntry, AuditEvent, StoreUnavailableError
from eros_scheduler.store_postgres_rows import unavailable

DAYS_AHEAD: Final = 2
_TIMEOUT_SECONDS: Final = 25.0

_OF: Final = """
SELECT a.at, a.event, a.kind, a.worker, u.token, coalesce(u.error, a.why) AS why, u.ms, u.bytes
FROM scheduler.audit a CROSS JOIN LATERAL (
    SELECT (a.tokens)[i] AS token, (a.ms)[i] AS ms, (a.bytes)[i] AS bytes, (a.errors)[i] AS error
    FROM array_position(a.users, $1) i
) u
WHERE $1 = ANY (a.users) AND a.at >= now() - $2 * interval '1 day'
ORDER BY a.at DESC
LIMIT $3
"""


class PostgresAudit:
    """`Audit`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, user_id: UserId, *, days: int, limit: int) -> Sequence[AuditEntry]:
        with unavailable():
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    f"SET LOCAL statement_timeout = {round(_TIMEOUT_SECONDS * 1000)}"
                )
                rows = await connection.fetch(_OF, user_id, days, limit, timeout=_TIMEOUT_SECONDS)
        return [
            AuditEntry(
                at=row["at"],
                event=AuditEvent(row["event"]),
                kind=JobKind(row["kind"]),
                token=JobToken(row["token"]),
                worker=row["worker"] or "",
                why=row["why"] or "",
                ms=row["ms"],
                size=row["bytes"],
            )
            for row in rows
        ]

    async def keep(self, *, days: int) -> int:
        try:
            with unavailable():
                await self._pool.execute("SELECT scheduler.keep_partitions($1)", DAYS_AHEAD)
                return int(await self._pool.fetchval("SELECT scheduler.drop_partitions($1)", days))
        except asyncpg.PostgresError as error:
            # Whatever it is: what is written goes to the rest meanwhile, and nobody waits for this.
            raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error
