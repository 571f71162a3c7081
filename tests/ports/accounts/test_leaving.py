"""Leaving while requests of the same person are under way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from eros_accounts.domain.sessions import Revoked, new_session
from eros_accounts.store_database import Database
from eros_accounts.store_leaving import PostgresLeaving
from eros_accounts.store_sessions import PostgresSessions
from eros_common.ids import UserId
from tests.ports.accounts.people import LIFETIMES, NOW, register
from tests.support.traces import rows_with

LATER = NOW + timedelta(minutes=20)
# What requests of the person write that only look at the token.
_WRITES = (
    """INSERT INTO assistant.conversations (id, user_id, created_at, updated_at)
    VALUES (gen_random_uuid(), $1, now(), now())""",
    "INSERT INTO matcher.blocks (user_id, other_id, at) VALUES ($1, gen_random_uuid(), now())",
    """INSERT INTO matcher.answered (user_id, key_hash, request_hash, action, mutual, at)
    VALUES ($1, sha256('key'), sha256('request'), 1, false, now())""",
    "SELECT scheduler.mark_due(ARRAY[$1::uuid], ARRAY[''], 1::smallint, now())",
)


@pytest.fixture
def leaving(database: Database) -> PostgresLeaving:
    return PostgresLeaving(database)


async def _erasures(admin: asyncpg.Connection, user_id: UserId) -> int:
    query = "SELECT count(*) FROM accounts.erasures WHERE user_id = $1"
    return int(await admin.fetchval(query, user_id))


async def _until_somebody_waits(admin: asyncpg.Connection) -> None:
    waits = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20):
        while not await admin.fetchval(waits):
            # Within a transaction, what is seen of others stays as it was first seen.
            await admin.execute("SELECT pg_stat_clear_snapshot()")


async def test_a_sign_in_that_is_being_stored_ends_with_the_account(
    sessions: PostgresSessions, leaving: PostgresLeaving, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    late = new_session(NOW, LIFETIMES)
    async with admin.transaction():
        # As a sign-in does it, half-way.
        hold = "SELECT FROM accounts.users WHERE id = $1 FOR KEY SHARE"
        await admin.execute(hold, member.user_id)
        await admin.execute(
            "INSERT INTO accounts.sessions (sid, user_id, created_at, expires_at) "
            "VALUES ($1, $2, $3, $4)",
            *(late.session_id, member.user_id, NOW, late.token.expires_at),
        )
        deleting = asyncio.create_task(leaving.delete(member.user_id, NOW))
        await _until_somebody_waits(admin)
    ended = await deleting
    assert ended is not None
    assert {revoked.session_id for revoked in ended} == {member.session_id, late.session_id}


async def test_what_was_written_while_somebody_left_goes_with_the_last_sweep(
    sessions: PostgresSessions, leaving: PostgresLeaving, admin: asyncpg.Connection
) -> None:
    people = [(await register(sessions)).user_id for _ in range(3)]
    for user_id in people:
        assert await leaving.delete(user_id, NOW) is not None
        for statement in _WRITES:
            await admin.execute(statement, user_id)
        await leaving.swept(user_id, LATER)
    left = {"assistant.conversations", "matcher.answered", "matcher.blocks", "scheduler.jobs"}
    assert set(await rows_with(admin, str(people[0]))) >= left

    await leaving.forget(NOW, NOW)
    assert set(await rows_with(admin, str(people[0]))) >= left, "not before its time"
    await leaving.forget(LATER, NOW)
    for user_id in people:
        assert await _erasures(admin, user_id) == 0
        named = await rows_with(admin, str(user_id))
        # Dropped from the cache by the services, within a second.
        assert not [table for table in named if not table.endswith(".cache_drops")]


async def test_jobs_are_taken_before_lists_as_by_workers(
    sessions: PostgresSessions, leaving: PostgresLeaving, admin: asyncpg.Connection
) -> None:
    """A worker has the jobs' rows when it waits for the lock on the person's lists."""
    member = await register(sessions)
    lock = "SELECT pg_advisory_xact_lock($1)"
    key = int.from_bytes(member.user_id.bytes[:8], signed=True)
    async with admin.transaction():
        jobs = "SELECT FROM scheduler.jobs WHERE user_id = $1 FOR UPDATE"
        await admin.execute(jobs, member.user_id)
        deleting = asyncio.create_task(leaving.delete(member.user_id, NOW))
        await _until_somebody_waits(admin)
        await admin.execute(lock, key)
    assert await deleting is not None


async def test_an_admin_is_remembered_for_as_long_as_a_console_may_be_open(
    sessions: PostgresSessions, leaving: PostgresLeaving, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    await sessions.grant_admin(member.email)
    ended = await leaving.delete(member.user_id, NOW)
    assert ended == [Revoked(member.session_id, NOW, is_admin=True)]
    await leaving.swept(member.user_id, LATER)
    await leaving.forget(LATER, NOW)
    assert ended[0] in await sessions.revoked_since(LATER, NOW - timedelta(hours=8))
    await leaving.forget(LATER, LATER)
    assert await _erasures(admin, member.user_id) == 0


async def test_whoever_stays_is_left_alone(
    sessions: PostgresSessions, leaving: PostgresLeaving
) -> None:
    member = await register(sessions)
    await leaving.forget(LATER, LATER)
    assert await sessions.credentials(member.email) is not None
    assert await leaving.delete(UserId(uuid4()), NOW) is None
