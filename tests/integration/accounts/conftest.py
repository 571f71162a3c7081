from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from eros_common.redis import open_redis
from tests.integration.accounts.service import Accounts, Starter


@pytest.fixture
def starter(postgres_url: str, valkey_url: str, tmp_path: Path) -> Starter:
    """Starts the service with settings of the test's own."""
    return Starter(postgres_url, valkey_url, tmp_path)


@pytest.fixture
async def accounts(starter: Starter) -> AsyncIterator[Accounts]:
    async with starter.start() as running:
        yield running


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Sees all that is stored."""
    connection = await asyncpg.connect(postgres_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    async with open_redis(valkey_url, app="test") as client:
        yield client
