from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ports.scheduler.stores import MemoryStores, PostgresStores, Stores, postgres_stores


@pytest.fixture
def in_memory() -> MemoryStores:
    return MemoryStores()


@pytest.fixture
async def real(postgres_url: str) -> AsyncIterator[PostgresStores]:
    """PostgreSQL alone: what only a database can get wrong."""
    async with postgres_stores(postgres_url) as stores:
        yield stores


@pytest.fixture(params=["in_memory", "real"])
def stores(request: pytest.FixtureRequest) -> Stores:
    """Each test runs on both."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Stores)
    return found
