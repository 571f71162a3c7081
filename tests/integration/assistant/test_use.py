"""A person's tokens of a day, in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from eros_assistant.store_use import PostgresModelUse
from eros_common.ids import new_user_id
from eros_common.postgres import open_pool

NOW = datetime(2026, 3, 2, 23, 59, tzinfo=UTC)
_TOKENS = "SELECT tokens FROM assistant.model_use WHERE user_id = $1 ORDER BY day"


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with open_pool(postgres_url, app="test", role="eros_assistant", size=8) as opened:
        yield opened


async def test_of_many_at_the_same_time_as_many_as_fit_are_let_in(pool: asyncpg.Pool) -> None:
    use, user, other = PostgresModelUse(pool), new_user_id(), new_user_id()
    let_in = await asyncio.gather(*(use.reserve(user, 100, 550, NOW) for _ in range(20)))
    assert sum(let_in) == 5
    assert await pool.fetchval(_TOKENS, user) == 500
    assert await use.reserve(user, 50, 550, NOW)
    # One more than all that there is, first of the day or not.
    assert not await use.reserve(user, 1, 550, NOW)
    assert not await use.reserve(other, 551, 550, NOW)
    assert await use.reserve(other, 550, 550, NOW)


async def test_what_is_given_back_is_of_the_day_it_was_taken_from(pool: asyncpg.Pool) -> None:
    use, user = PostgresModelUse(pool), new_user_id()
    assert await use.reserve(user, 500, 550, NOW)
    assert await use.reserve(user, 500, 550, NOW + timedelta(minutes=2))
    await use.settle(user, -400, NOW)
    assert [row["tokens"] for row in await pool.fetch(_TOKENS, user)] == [100, 500]
    # Of whoever was deleted meanwhile nothing comes back.
    await pool.execute("DELETE FROM assistant.model_use WHERE user_id = $1", user)
    await use.settle(user, -400, NOW)
    assert await pool.fetchval(_TOKENS, user) is None
