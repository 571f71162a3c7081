from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from eros_accounts.store_database import Database
from eros_accounts.store_profiles import PostgresProfiles
from eros_accounts.store_sessions import PostgresSessions
from eros_common import postgres
from eros_common.redis import Valkey, open_redis


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    """In the service's own role."""
    async with postgres.open_pool(postgres_url, role="eros_accounts", app="test") as opened:
        yield opened


@pytest.fixture
def database(pool: asyncpg.Pool) -> Database:
    return Database(pool)


@pytest.fixture
def sessions(database: Database) -> PostgresSessions:
    return PostgresSessions(database)


@pytest.fixture
def profiles(database: Database) -> PostgresProfiles:
    return PostgresProfiles(database)


@pytest.fixture(params=["valkey", "cluster"])
def cache_url(request: pytest.FixtureRequest) -> str:
    name = "valkey_url" if request.param == "valkey" else "valkey_cluster_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
async def redis(cache_url: str) -> AsyncIterator[Valkey]:
    async with open_redis(cache_url, app="test", retries=0) as client:
        yield client
