"""What is left of whoever left goes in three steps, the last a month later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg

from eros_common.ids import UserId
from eros_matcher.features.model import FIRST_VERSION
from eros_matcher.ports import ListCache, ListKind
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.store_features import save_records
from eros_matcher.store_models import PostgresModels
from tests.ports.matcher.lists import NOW
from tests.unit.matcher.crowd import a_crowd


class NoCache(ListCache):
    async def get(self, kind: ListKind, user: UserId) -> bytes | None:
        return None

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        pass

    async def drop(self, users: Iterable[UserId]) -> bool:
        return True


async def _count(pool: asyncpg.Pool, table: str, user: UserId) -> int:
    query = f"SELECT count(*) FROM matcher.{table} WHERE user_id = $1"  # noqa: S608
    return int(await pool.fetchval(query, user))


async def test_of_features_an_id_stays_for_a_month(pool: asyncpg.Pool, postgres_url: str) -> None:
    await PostgresModels(pool).ensure_first(NOW)
    gone, stays = a_crowd(2)
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, [gone, stays], FIRST_VERSION, NOW)
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute("SELECT matcher.forget($1)", [gone.user_id])
    finally:
        await admin.close()
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
