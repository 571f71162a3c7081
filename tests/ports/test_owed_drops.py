"""A drop that is owed while the same one is being made up for is not taken for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import asyncpg
import pytest

from eros_accounts.store_database import Database
from eros_accounts.store_drops import PostgresCacheDrops as AccountsDrops
from eros_assistant.domain.conversations import ConversationId
from eros_assistant.store_conversations import PostgresCacheDrops as AssistantDrops
from eros_common.ids import UserId, new_user_id
from eros_common.postgres import open_pool
from eros_common.postgres_drops import OwedDrops
from eros_common.testing import FakeClock
from eros_matcher.ports import ListKind
from eros_matcher.store_actions import drop_lists

USER = new_user_id()
CONVERSATION = ConversationId(uuid4())
_WAITS = """
SELECT true FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1
"""


class Away:
    """A matcher's cache that does not answer."""

    async def get(self, kind: ListKind, user: UserId) -> bytes | None:
        raise AssertionError("nothing is read here")

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        raise AssertionError("nothing is kept here")

    async def drop(self, users: Iterable[UserId]) -> bool:
        return False


async def by_accounts(pool: asyncpg.Pool) -> None:
    await AccountsDrops(Database(pool)).owe(USER, 2)


async def by_the_assistant(pool: asyncpg.Pool) -> None:
    await AssistantDrops(pool).owe(USER, CONVERSATION)


async def by_the_matcher(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await drop_lists(connection, Away(), [USER])


async def by_leaving_the_assistant(pool: asyncpg.Pool) -> None:
    await pool.execute("SELECT assistant.forget($1)", [USER])


@dataclass(frozen=True, slots=True)
class Case:
    service: str
    owe: Callable[[asyncpg.Pool], Awaitable[None]]


CASES = (
    Case("accounts", by_accounts),
    Case("assistant", by_the_assistant),
    Case("assistant", by_leaving_the_assistant),
    Case("matcher", by_the_matcher),
)


@pytest.fixture(params=CASES, ids=[case.owe.__name__ for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
async def pool(postgres_url: str, case: Case) -> AsyncIterator[asyncpg.Pool]:
    role = f"eros_{case.service}"
    async with open_pool(postgres_url, role=role, app="test") as opened:
        yield opened


async def test_what_is_owed_again_meanwhile_is_owed_still(
    pool: asyncpg.Pool, admin: asyncpg.Connection, case: Case
) -> None:
    made_up: list[UUID] = []
    again: list[asyncio.Task[None]] = []

    async def drop(rows: Sequence[asyncpg.Record]) -> bool:
        made_up.extend(row["user_id"] for row in rows)
        if not again:
            # The cache was told; somebody changes the same thing, whom the cache does not hear.
            again.append(asyncio.ensure_future(case.owe(pool)))
            while not again[0].done() and not await admin.fetchval(_WAITS):
                await asyncio.sleep(0.001)
        return True

    owed = OwedDrops(pool, f"{case.service}.cache_drops", drop, FakeClock(), 1)
    await case.owe(pool)
    await owed.make_up()
    await again[0]
    await owed.make_up()
    assert made_up == [USER, USER]


async def test_what_the_cache_does_not_hear_of_stays(pool: asyncpg.Pool, case: Case) -> None:
    told: list[UUID] = []

    async def drop(rows: Sequence[asyncpg.Record]) -> bool:
        told.extend(row["user_id"] for row in rows)
        return len(told) > 1

    owed = OwedDrops(pool, f"{case.service}.cache_drops", drop, FakeClock(), 1)
    await case.owe(pool)
    assert [await owed.make_up() for _ in range(3)] == [0, 1, 0]
    assert told == [USER, USER]
