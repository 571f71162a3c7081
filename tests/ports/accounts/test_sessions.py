from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from eros_accounts.domain.credentials import Email
from eros_accounts.domain.sessions import (
    Holder,
    Revoked,
    RevokeReason,
    digest,
    fresh_token,
    new_session,
)
from eros_accounts.ports import Credentials, NewAccount
from eros_accounts.store_sessions import PostgresSessions
from eros_common.ids import new_session_id, new_user_id
from tests.ports.accounts.people import LIFETIMES, NIGHT, NOW, new_email, register

LATER = NOW + timedelta(hours=1)


async def test_registering_stores_the_person_and_the_jobs_at_once(
    sessions: PostgresSessions, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    assert await sessions.credentials(member.email) == Credentials(member.user_id, "$argon2id$hash")
    row = await admin.fetchrow("SELECT * FROM accounts.profiles WHERE user_id = $1", member.user_id)
    assert row is not None
    assert (row["name"], row["photos"], row["birth_year"]) == ("Ann", [], None)
    jobs = await admin.fetch(
        """SELECT kind, zone, due_at FROM scheduler.jobs
        WHERE user_id = $1 AND kind < 4 ORDER BY kind""",
        member.user_id,
    )
    assert [tuple(job) for job in jobs] == [(kind, "", NIGHT) for kind in (1, 2, 3)]


async def test_a_taken_email_stores_nothing(
    sessions: PostgresSessions, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    before = await admin.fetchval("SELECT count(*) FROM scheduler.jobs")
    other = NewAccount(new_user_id(), member.email, "$argon2id$other", "Eve")
    assert not await sessions.register(other, new_session(NOW, LIFETIMES), NIGHT)
    assert await sessions.credentials(member.email) == Credentials(member.user_id, "$argon2id$hash")
    assert await admin.fetchval("SELECT count(*) FROM scheduler.jobs") == before
    for table in ("profiles", "sessions"):
        found = await admin.fetchval(
            f"SELECT count(*) FROM accounts.{table} WHERE user_id = $1",  # noqa: S608
            other.user_id,
        )
        assert found == 0


async def test_one_of_many_who_want_an_email_gets_it(sessions: PostgresSessions) -> None:
    email = new_email()
    got = await asyncio.gather(
        *(
            sessions.register(
                NewAccount(new_user_id(), email, "$argon2id$", "Ann"),
                new_session(NOW, LIFETIMES),
                NIGHT,
            )
            for _ in range(8)
        )
    )
    assert sorted(got) == [False] * 7 + [True]


async def test_nobody_has_no_credentials(sessions: PostgresSessions) -> None:
    assert await sessions.credentials(Email("nobody@example.com")) is None


async def test_a_hash_is_renewed_unless_it_changed(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    await sessions.renew_hash(member.user_id, "$argon2id$hash", "$argon2id$new")
    await sessions.renew_hash(member.user_id, "$argon2id$hash", "$argon2id$late")
    assert await sessions.credentials(member.email) == Credentials(member.user_id, "$argon2id$new")


async def test_a_session_opens_for_those_who_exist(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    session = new_session(NOW, LIFETIMES)
    assert await sessions.open(member.user_id, session) == Holder(
        member.user_id, session.session_id
    )
    assert await sessions.open(new_user_id(), new_session(NOW, LIFETIMES)) is None


async def test_only_digests_are_at_rest(
    sessions: PostgresSessions, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    row = await admin.fetchrow(
        "SELECT * FROM accounts.refresh_tokens WHERE sid = $1", member.session_id
    )
    assert row is not None
    assert row["token_hash"] == digest(member.token.secret)
    assert member.token.secret not in str(tuple(row))


async def test_each_token_is_exchanged_once_for_the_next(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    token = member.token
    for _ in range(3):
        fresh = fresh_token(LATER, LIFETIMES)
        holder = await sessions.rotate(token.digest, fresh, LATER)
        assert holder == Holder(member.user_id, member.session_id)
        assert await sessions.rotate(token.digest, fresh_token(LATER, LIFETIMES), LATER) is None
        token = fresh


async def test_of_many_exchanges_at_once_one_succeeds(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    got = await asyncio.gather(
        *(
            sessions.rotate(member.token.digest, fresh_token(LATER, LIFETIMES), LATER)
            for _ in range(8)
        )
    )
    assert sum(holder is not None for holder in got) == 1


async def test_unknown_and_expired_tokens_are_not_exchanged(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    end = member.token.expires_at
    assert await sessions.rotate(member.token.digest, fresh_token(end, LIFETIMES), end) is None
    unknown = fresh_token(NOW, LIFETIMES)
    assert await sessions.rotate(unknown.digest, fresh_token(NOW, LIFETIMES), NOW) is None


async def test_a_spent_token_revokes_its_family_and_no_other(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    other = new_session(NOW, LIFETIMES)
    await sessions.open(member.user_id, other)
    fresh = fresh_token(LATER, LIFETIMES)
    assert await sessions.revoke_family(member.token.digest, LATER) is None, "not spent"
    await sessions.rotate(member.token.digest, fresh, LATER)

    revoked = Revoked(member.session_id, LATER)
    assert await sessions.revoke_family(member.token.digest, LATER) == revoked
    again = LATER + timedelta(minutes=1)
    assert await sessions.revoke_family(member.token.digest, again) == revoked, "the first counts"
    assert await sessions.rotate(fresh.digest, fresh_token(LATER, LIFETIMES), LATER) is None
    assert await sessions.revoke_family(fresh.digest, LATER) is None, "never exchanged"
    assert await sessions.rotate(other.token.digest, fresh_token(LATER, LIFETIMES), LATER)


async def test_an_ended_session_is_not_refreshed(
    sessions: PostgresSessions, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    await sessions.revoke(member.session_id, RevokeReason.LOGOUT, NOW)
    await sessions.revoke(member.session_id, RevokeReason.LOGOUT, LATER)
    fresh = fresh_token(LATER, LIFETIMES)
    assert await sessions.rotate(member.token.digest, fresh, LATER) is None
    row = await admin.fetchrow(
        "SELECT revoked_at, revoke_reason FROM accounts.sessions WHERE sid = $1", member.session_id
    )
    assert row is not None
    assert tuple(row) == (NOW, "logout")


async def test_ended_sessions_are_listed_since(sessions: PostgresSessions) -> None:
    member, other = await register(sessions), await register(sessions)
    far = NOW + timedelta(days=400)
    await sessions.revoke(member.session_id, RevokeReason.LOGOUT, far)
    await sessions.revoke(other.session_id, RevokeReason.LOGOUT, far - timedelta(minutes=20))
    since = far - timedelta(minutes=15)
    assert await sessions.revoked_since(since, since) == [Revoked(member.session_id, far)]


async def test_an_admins_ended_sessions_are_listed_for_longer(sessions: PostgresSessions) -> None:
    member, other = await register(sessions), await register(sessions)
    await sessions.grant_admin(member.email)
    far = NOW + timedelta(days=800)
    ended = far - timedelta(hours=1)
    of_admin = Revoked(member.session_id, ended, is_admin=True)
    assert await sessions.revoke(member.session_id, RevokeReason.LOGOUT, ended) == of_admin
    again = far - timedelta(minutes=1)
    assert await sessions.revoke(member.session_id, RevokeReason.LOGOUT, again) == of_admin
    of_other = await sessions.revoke(other.session_id, RevokeReason.LOGOUT, ended)
    assert of_other == Revoked(other.session_id, ended)
    since = far - timedelta(minutes=15)
    assert await sessions.revoked_since(since, far - timedelta(hours=8)) == [of_admin]
    assert await sessions.revoked_since(ended - timedelta(minutes=1), far - timedelta(hours=8)) == [
        of_admin,
        of_other,
    ]
    assert await sessions.revoke(new_session_id(), RevokeReason.LOGOUT, far) is None


async def test_a_sweep_takes_what_expired_and_nothing_else(
    sessions: PostgresSessions, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    fresh = fresh_token(LATER, LIFETIMES)
    await sessions.rotate(member.token.digest, fresh, LATER)

    async def left() -> tuple[int, int]:
        found = [
            await admin.fetchval(
                f"SELECT count(*) FROM accounts.{table} WHERE sid = $1",  # noqa: S608
                member.session_id,
            )
            for table in ("sessions", "refresh_tokens")
        ]
        return found[0], found[1]

    assert await left() == (1, 2)
    await sessions.sweep(member.token.expires_at)
    assert await left() == (1, 2), "a token holds to the end of its last instant"
    assert await sessions.sweep(member.token.expires_at + timedelta(seconds=1)) >= 1
    assert await left() == (1, 1), "the session goes on with its newest token"
    await sessions.sweep(fresh.expires_at + timedelta(seconds=1))
    assert await left() == (0, 0)
    assert await sessions.sweep(fresh.expires_at + timedelta(seconds=1)) == 0


async def test_an_admin_is_one_from_the_next_token_on(sessions: PostgresSessions) -> None:
    member = await register(sessions)
    for _ in range(2):
        assert await sessions.grant_admin(member.email) == member.user_id
    holder = await sessions.rotate(member.token.digest, fresh_token(LATER, LIFETIMES), LATER)
    assert holder is not None
    assert holder.roles == ("admin",)
    assert await sessions.grant_admin(Email("nobody@example.com")) is None


@pytest.mark.parametrize("schema_table", ["scheduler.jobs", "matcher.models"])
async def test_the_role_sees_no_other_schema(
    postgres_url: str, admin: asyncpg.Connection, schema_table: str
) -> None:
    if await admin.fetchval("SELECT to_regclass($1)", schema_table) is None:
        pytest.fail(f"{schema_table} is not there any more: name another table")
    connection = await asyncpg.connect(postgres_url, server_settings={"role": "eros_accounts"})
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"SELECT 1 FROM {schema_table}")  # noqa: S608
    finally:
        await connection.close()
