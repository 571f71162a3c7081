"""Leaving for good, in PostgreSQL: one transaction over all that schemas hold of a person.

A schema that does publishes `forget(uuid[])` and `export(uuid)`; they are found by name, so that a
new service need not be known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from eros_accounts.domain.sessions import Revoked
from eros_accounts.store_database import Database
from eros_common.auth import ADMIN
from eros_common.ids import SessionId, UserId

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_PUBLISHED: Final = """
SELECT n.nspname AS schema, quote_ident(n.nspname) AS quoted
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname = $1 AND oidvectortypes(p.proargtypes) = $2
    AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
ORDER BY n.nspname <> 'scheduler', n.nspname
"""
"""Jobs before everything else: whoever takes both their rows and locks on lists takes them so."""
# A sign-in that is being stored keeps hold of the row (`FOR KEY SHARE`). It is waited for here, so
# that the next statement, which collects the sessions, sees its own.
_HOLD: Final = "SELECT FROM accounts.users WHERE id = $1 FOR UPDATE"
_DELETE: Final = """
WITH gone AS (
    DELETE FROM accounts.users WHERE id = $1 RETURNING id, roles
)
INSERT INTO accounts.erasures (user_id, requested_at, sids, is_admin)
SELECT id, $2, ARRAY(SELECT sid FROM accounts.sessions WHERE user_id = $1), $3 = ANY (roles)
FROM gone
RETURNING sids, is_admin
"""
_DUE: Final = """
SELECT user_id FROM accounts.erasures WHERE swept_at IS NULL OR swept_at < $1
ORDER BY swept_at NULLS FIRST LIMIT 100
"""
_SWEPT: Final = "UPDATE accounts.erasures SET swept_at = $2 WHERE user_id = $1"
_FORGET: Final = """
DELETE FROM accounts.erasures WHERE user_id = (
    SELECT user_id FROM accounts.erasures
    WHERE requested_at < CASE WHEN is_admin THEN $2::timestamptz ELSE $1::timestamptz END
        AND swept_at > requested_at
    LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING user_id
"""


class PostgresLeaving:
    """The port ``LeavingStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, user_id: UserId, now: datetime) -> list[Revoked] | None:
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_HOLD, user_id)
            gone = await connection.fetchrow(_DELETE, user_id, now, ADMIN)
            if gone is None:
                return None
            await _remove(connection, user_id)
        return [Revoked(SessionId(sid), now, gone["is_admin"]) for sid in gone["sids"]]

    async def export(self, user_id: UserId) -> dict[str, Any]:
        async with (
            self._database.connection() as connection,
            # All of one moment.
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return {
                schema: await connection.fetchval(f"SELECT {schema}.export($1)", user_id)
                for schema in await _schemas(connection, "export", "uuid")
            }

    async def unswept(self, before: datetime) -> Sequence[UserId]:
        async with self._database.connection() as connection:
            return [UserId(row["user_id"]) for row in await connection.fetch(_DUE, before)]

    async def swept(self, user_id: UserId, now: datetime) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_SWEPT, user_id, now)

    async def forget(self, before: datetime, admins_before: datetime) -> None:
        # A transaction each: many at once would hold many locks.
        while await self._forget_one(before, admins_before):
            pass

    async def _forget_one(self, before: datetime, admins_before: datetime) -> bool:
        async with self._database.connection() as connection, connection.transaction():
            user_id = await connection.fetchval(_FORGET, before, admins_before)
            if user_id is None:
                return False
            # What requests wrote that were under way when the account went: no other table knows
            # by itself that there is nobody any more.
            await _remove(connection, user_id)
            return True


async def _remove(connection: PoolConnectionProxy, user_id: UserId) -> None:
    """All that any schema holds of the person."""
    for schema in await _schemas(connection, "forget", "uuid[]"):
        await connection.execute(f"SELECT {schema}.forget($1::uuid[])", [user_id])


async def _schemas(connection: PoolConnectionProxy, function: str, arguments: str) -> list[str]:
    """The schemas that publish such a function, as they are written in SQL."""
    return [row["quoted"] for row in await connection.fetch(_PUBLISHED, function, arguments)]
