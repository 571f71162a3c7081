"""The audit's own query on real tables."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import uuid4

import asyncpg
import pytest

from eros_cli.commands.exposure import measure
from eros_matcher.features.model import FIRST_VERSION
from eros_matcher.store_features import save_records
from eros_matcher.store_models import PostgresModels
from tests.unit.matcher.crowd import a_crowd

NOW = datetime(2026, 5, 1, 4, tzinfo=UTC)


@pytest.mark.usefixtures("pool")
async def test_places_on_daily_lists_are_counted_by_group(
    pool: asyncpg.Pool, postgres_url: str
) -> None:
    assert (await measure(postgres_url, 7))["groups"] == []
    await PostgresModels(pool).ensure_first(NOW)
    people = a_crowd(20)
    async with pool.acquire() as connection, connection.transaction():
        await save_records(connection, people, FIRST_VERSION, NOW)
    for day in (date(2026, 4, 1), date(2026, 5, 1), date(2026, 5, 2)):
        await pool.execute(
            """
            INSERT INTO matcher.matches (user_id, list_date, other_id, rank, match_id, source,
                score, reasons, model_version, market_version, created_at)
            VALUES ($1, $2, $3, 1, $4, 2, 0.5, '{}', 1, 'm', $5)
            """,
            *(people[0].user_id, day, people[1].user_id, uuid4(), NOW),
        )
    found = await measure(postgres_url, 7)
    # The list of a month ago is none of these days.
    assert found["places"] == 2
    assert sum(group["people"] for group in found["groups"]) == 20
    assert max(group["most_shown"] for group in found["groups"]) == 2
