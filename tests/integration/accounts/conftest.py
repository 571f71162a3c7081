from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eros_common.redis import Valkey, open_redis
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
async def redis(valkey_url: str) -> AsyncIterator[Valkey]:
    async with open_redis(valkey_url, app="test", retries=0) as client:
        yield client
