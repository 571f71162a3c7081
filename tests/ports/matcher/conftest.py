"""Pools in the matcher's role, on a database of the module's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from eros_common.postgres import open_pool

_TABLES = (
    "features, vectors, matches, recommendations, actions, decisions, hidden, cache_drops, models, "
    "blocks, erasures, answered"
)


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Empty tables, in the role that the matcher has."""
    admin = await asyncpg.connect(postgres_url)
    try:
        tables = ", ".join(f"matcher.{name.strip()}" for name in _TABLES.split(","))
        await admin.execute(f"TRUNCATE {tables}, scheduler.jobs")
    finally:
        await admin.close()
    async with open_pool(postgres_url, app="matcher-test", role="eros_matcher", size=8) as opened:
        yield opened
