"""What is left of whoever left goes in three steps, the last a month later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from eros_common.ids import UserId
from eros_matcher.features.model import FIRST_VERSION
from eros_matcher.ports import ListCache, ListKind
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.store_features import save_records
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_models import PostgresModels
from tests.ports.matcher.lists import NOW, TODAY, a_list, person
from tests.ports.matcher.test_lists import write
from tests.unit.matcher.crowd import a_crowd


class NoCache(ListCache):
    """Keeps nothing; notes whose lists were dropped."""

    def __init__(self) -> None:
        self.dropped: list[UserId] = []

    async def get(self, kind: ListKind, user: UserId) -> bytes | None:
        return None

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        pass

    async def drop(self, users: Iterable[UserId]) -> bool:
        self.dropped += users
        return True


async def _count(pool: asyncpg.Pool, table: str, user: UserId) -> int:
    query = f"SELECT count(*) FROM matcher.{table} WHERE user_id = $1"  # noqa: S608
    return int(await pool.fetchval(query, user))


async def _forget(postgres_url: str, user: UserId) -> None:
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute("SELECT matcher.forget($1)", [user])
    finally:
        await admin.close()


async def test_of_features_an_id_stays_for_a_month(pool: asyncpg.Pool, postgres_url: str) -> None:
    await PostgresModels(pool).ensure_first(NOW)
    gone, stays = a_crowd(2)
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, [gone, stays], FIRST_VERSION, NOW)
    await _forget(postgres_url, gone.user_id)
    assert await _count(pool, "vectors", gone.user_id) == 0
    row = await pool.fetchrow("SELECT * FROM matcher.features WHERE user_id = $1", gone.user_id)
    assert row is not None
    assert (row["in_market"], row["lat"], row["birth_year"], row["tokens"]) == (
        *(False, None),
        *(None, b""),
    )

    erasures = PostgresErasures(pool, NoCache())
    assert [await erasures.sweep(), await erasures.sweep()] == [1, 0]
    await erasures.forget(kept_days=0)
    assert await _count(pool, "features", gone.user_id) == 1
    assert [await erasures.sweep(again_seconds=0), await erasures.sweep(again_seconds=0)] == [1, 0]
    await erasures.forget()
    assert await _count(pool, "erasures", gone.user_id) == 1
    await erasures.forget(kept_days=0)
    for table in ("features", "erasures"):
        assert await _count(pool, table, gone.user_id) == 0
    assert await _count(pool, "features", stays.user_id) == 1


async def test_lists_that_are_being_copied_are_changed_and_dropped_after_that(
    pool: asyncpg.Pool, postgres_url: str
) -> None:
    me, you, gone = map(person, (1, 2, 3))
    yesterday = TODAY - timedelta(days=1)
    await write(
        pool,
        daily=[a_list(me, [gone, you]), a_list(you, [gone], day=yesterday), a_list(you, [me])],
        beyond=[a_list(me, [you, gone]), a_list(you, [me])],
    )
    await _forget(postgres_url, gone)
    lists, cache = PostgresLists(pool), NoCache()
    async with lists.held([me], yesterday, []):
        sweeping = asyncio.create_task(PostgresErasures(pool, cache).sweep())
        while not sweeping.done() and not await _somebody_waits(pool):
            await asyncio.sleep(0)
        assert not cache.dropped
    assert await sweeping == 1
    assert sorted(cache.dropped) == [me, you]
    found = await lists.current([me, you], yesterday)
    others = {
        user: [
            [one.other_id for one in both.suggestions] for both in (now.daily, now.beyond) if both
        ]
        for user, now in found.items()
    }
    assert others == {me: [[you], [you]], you: [[me], [me]]}
    assert await lists.daily_on(you, yesterday) is None


@pytest.mark.parametrize("user", [person(1), UserId(UUID("ffffffff-ffff-4fff-bfff-000000000001"))])
async def test_leaving_waits_for_whoever_has_the_persons_lists(
    pool: asyncpg.Pool, postgres_url: str, user: UserId
) -> None:
    """It takes their rows under the lock that everybody takes first: no two wait for each other."""
    await write(pool, daily=[a_list(user, [person(2)])])
    async with PostgresLists(pool).held([user], TODAY, []):
        leaving = asyncio.create_task(_forget(postgres_url, user))
        while not leaving.done() and not await _somebody_waits(pool):
            await asyncio.sleep(0)
        assert not leaving.done()
        assert await _count(pool, "matches", user) == 1
    await leaving
    assert await _count(pool, "matches", user) == 0


async def _somebody_waits(pool: asyncpg.Pool) -> bool:
    return bool(
        await pool.fetchval(
            """
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """
        )
    )


async def test_a_list_that_names_who_left_is_looked_through_again(
    pool: asyncpg.Pool, postgres_url: str
) -> None:
    await PostgresModels(pool).ensure_first(NOW)
    gone, stays = (one.user_id for one in a_crowd(2))
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute("SELECT matcher.forget($1)", [gone])
    finally:
        await admin.close()
    erasures = PostgresErasures(pool, NoCache())
    assert await erasures.sweep() == 1
    await write(pool, daily=[a_list(stays, [gone])])
    assert await _count(pool, "matches", stays) == 1
    assert await erasures.sweep() == 1
    assert await _count(pool, "matches", stays) == 0
