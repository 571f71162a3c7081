"""Accounts and sign-ins in PostgreSQL. Each method is one statement, so one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from eros_accounts.domain.credentials import Email
from eros_accounts.domain.sessions import (
    FreshToken,
    Holder,
    NewSession,
    RefreshDigest,
    Revoked,
    RevokeReason,
)
from eros_accounts.ports import Credentials, NewAccount, Registered
from eros_accounts.store_database import ANALYZE, Database
from eros_common.auth import ADMIN
from eros_common.idempotency import KEPT, Once
from eros_common.ids import SessionId, UserId

# A key that was used for another address ends the statement, and nothing is stored.
_REGISTER: Final = """
WITH account AS (
    INSERT INTO accounts.users (id, email, password_hash, created_at)
    VALUES ($1, $2, $3, $6) ON CONFLICT (email) DO NOTHING RETURNING id
), profile AS (
    INSERT INTO accounts.profiles (user_id, name, updated_at) SELECT id, $4, $6 FROM account
), session AS (
    INSERT INTO accounts.sessions (sid, user_id, created_at, expires_at)
    SELECT $5, id, $6, $8 FROM account
), token AS (
    INSERT INTO accounts.refresh_tokens (token_hash, sid, expires_at)
    SELECT $7, $5, $8 FROM account
), registration AS (
    INSERT INTO accounts.registrations (key_hash, user_id, request_hash, created_at)
    SELECT $11, id, $12, $6 FROM account WHERE $11::bytea IS NOT NULL
)
SELECT scheduler.mark_due(ARRAY[id], ARRAY[''], $10, $9) FROM account
"""

_REGISTERED: Final = """
SELECT r.user_id, r.request_hash, u.password_hash
FROM accounts.registrations r JOIN accounts.users u ON u.id = r.user_id WHERE r.key_hash = $1
"""

_CREDENTIALS: Final = "SELECT id, password_hash FROM accounts.users WHERE email = $1"

_RENEW_HASH: Final = """
UPDATE accounts.users SET password_hash = $3 WHERE id = $1 AND password_hash = $2
"""

_OPEN: Final = """
WITH account AS (
    SELECT id, roles FROM accounts.users WHERE id = $1 FOR KEY SHARE
), session AS (
    INSERT INTO accounts.sessions (sid, user_id, created_at, expires_at)
    SELECT $2, id, $3, $5 FROM account
), token AS (
    INSERT INTO accounts.refresh_tokens (token_hash, sid, expires_at)
    SELECT $4, $2, $5 FROM account
)
SELECT id AS user_id, $2::text AS sid, roles FROM account
"""

# The session's row is locked first, so that the exchanges and the end of a session are one after
# the other; the token's own condition is then checked against its newest version.
_ROTATE: Final = """
WITH session AS (
    UPDATE accounts.sessions s SET expires_at = $3
    FROM accounts.refresh_tokens t
    WHERE t.token_hash = $1 AND t.spent_at IS NULL AND t.expires_at > $4
        AND s.sid = t.sid AND s.revoked_at IS NULL
    RETURNING s.sid, s.user_id
), spent AS (
    UPDATE accounts.refresh_tokens t SET spent_at = $4
    FROM session WHERE t.token_hash = $1 AND t.spent_at IS NULL
    RETURNING session.sid, session.user_id
), fresh AS (
    INSERT INTO accounts.refresh_tokens (token_hash, sid, expires_at)
    SELECT $2, sid, $3 FROM spent
)
SELECT spent.user_id, spent.sid, u.roles FROM spent JOIN accounts.users u ON u.id = spent.user_id
"""

_REVOKE_FAMILY: Final = """
UPDATE accounts.sessions s SET
    revoked_at = coalesce(s.revoked_at, $2), revoke_reason = coalesce(s.revoke_reason, $3)
FROM accounts.refresh_tokens t, accounts.users u
WHERE t.token_hash = $1 AND t.spent_at IS NOT NULL AND s.sid = t.sid AND u.id = s.user_id
RETURNING s.sid, s.revoked_at, $4 = ANY (u.roles) AS is_admin
"""

_REVOKE: Final = """
WITH ended AS (
    UPDATE accounts.sessions SET revoked_at = $2, revoke_reason = $3
    WHERE sid = $1 AND revoked_at IS NULL
)
SELECT s.sid, coalesce(s.revoked_at, $2) AS revoked_at, $4 = ANY (u.roles) AS is_admin
FROM accounts.sessions s JOIN accounts.users u ON u.id = s.user_id WHERE s.sid = $1
"""

# Admins are few and have an index of their own.
_REVOKED_SINCE: Final = """
WITH of_admins AS (
    SELECT s.sid, s.revoked_at
    FROM accounts.users u JOIN accounts.sessions s ON s.user_id = u.id
    WHERE u.roles <> '{}' AND $3 = ANY (u.roles) AND s.revoked_at > $2
)
SELECT sid, revoked_at, true AS is_admin FROM of_admins
UNION ALL
SELECT s.sid, s.revoked_at, false FROM accounts.sessions s
WHERE s.revoked_at > $1 AND NOT EXISTS (SELECT FROM of_admins a WHERE a.sid = s.sid)
UNION ALL
SELECT unnest(sids), requested_at, is_admin FROM accounts.erasures
WHERE requested_at > CASE WHEN is_admin THEN $2 ELSE $1 END
"""

# In pieces, so that no sweep is long. Tokens go with their session.
_SWEEP: Final = """
WITH old_sessions AS (
    DELETE FROM accounts.sessions WHERE sid IN (
        SELECT sid FROM accounts.sessions WHERE expires_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
), old_tokens AS (
    DELETE FROM accounts.refresh_tokens WHERE token_hash IN (
        SELECT token_hash FROM accounts.refresh_tokens WHERE expires_at < $1
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
), old_keys AS (
    DELETE FROM accounts.registrations WHERE key_hash IN (
        SELECT key_hash FROM accounts.registrations WHERE created_at < $2
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    ) RETURNING 1
)
SELECT (SELECT count(*) FROM old_sessions) + (SELECT count(*) FROM old_tokens)
    + (SELECT count(*) FROM old_keys)
"""

_GRANT: Final = """
UPDATE accounts.users
SET roles = CASE WHEN $2 = ANY (roles) THEN roles ELSE roles || $2 END
WHERE email = $1 RETURNING id
"""


class PostgresSessions:
    """The port ``SessionStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(
        self,
        account: NewAccount,
        session: NewSession,
        night: datetime,
        once: Once | None = None,
    ) -> bool:
        async with self._database.connection() as connection:
            try:
                row = await connection.fetchrow(
                    _REGISTER,
                    account.user_id,
                    account.email,
                    account.password_hash,
                    account.name,
                    session.session_id,
                    session.created_at,
                    session.token.digest,
                    session.token.expires_at,
                    night,
                    ANALYZE,
                    *((once.key, once.request) if once is not None else (None, None)),
                )
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != "registrations_pkey":
                    raise
                return False
        return row is not None

    async def registered(self, key_hash: bytes) -> Registered | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REGISTERED, key_hash)
        if row is None:
            return None
        return Registered(UserId(row["user_id"]), row["password_hash"], row["request_hash"])

    async def credentials(self, email: Email) -> Credentials | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_CREDENTIALS, email)
        return None if row is None else Credentials(UserId(row["id"]), row["password_hash"])

    async def renew_hash(self, user_id: UserId, old: str, new: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_RENEW_HASH, user_id, old, new)

    async def open(self, user_id: UserId, session: NewSession) -> Holder | None:
        return await self._holder(
            _OPEN,
            user_id,
            session.session_id,
            session.created_at,
            session.token.digest,
            session.token.expires_at,
        )

    async def rotate(self, spent: RefreshDigest, fresh: FreshToken, now: datetime) -> Holder | None:
        return await self._holder(_ROTATE, spent, fresh.digest, fresh.expires_at, now)

    async def revoke_family(self, spent: RefreshDigest, now: datetime) -> Revoked | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REVOKE_FAMILY, spent, now, RevokeReason.REUSE, ADMIN)
        return None if row is None else _revoked(row)

    async def revoke(
        self, session_id: SessionId, reason: RevokeReason, now: datetime
    ) -> Revoked | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_REVOKE, session_id, now, reason, ADMIN)
        return None if row is None else _revoked(row)

    async def revoked_since(self, since: datetime, admins_since: datetime) -> list[Revoked]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_REVOKED_SINCE, since, admins_since, ADMIN)
        return [_revoked(row) for row in rows]

    async def sweep(self, now: datetime) -> int:
        async with self._database.connection() as connection:
            return int(await connection.fetchval(_SWEEP, now, now - KEPT))

    async def grant_admin(self, email: Email) -> UserId | None:
        async with self._database.connection() as connection:
            user_id = await connection.fetchval(_GRANT, email, ADMIN)
        return None if user_id is None else UserId(user_id)

    async def _holder(self, statement: str, *arguments: object) -> Holder | None:
        async with self._database.connection() as connection:
            row = await connection.fetchrow(statement, *arguments)
        if row is None:
            return None
        return Holder(UserId(row["user_id"]), SessionId(row["sid"]), tuple(row["roles"]))


def _revoked(row: asyncpg.Record) -> Revoked:
    return Revoked(SessionId(row["sid"]), row["revoked_at"], row["is_admin"])
