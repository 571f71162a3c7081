from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.accounts.service import Accounts, Starter
from tests.ports.accounts.conftest import admin, redis

__all__ = ["accounts", "admin", "redis", "starter"]


@pytest.fixture
def starter(postgres_url: str, valkey_url: str, tmp_path: Path) -> Starter:
    """Starts the service with settings of the test's own."""
    return Starter(postgres_url, valkey_url, tmp_path)


@pytest.fixture
async def accounts(starter: Starter) -> AsyncIterator[Accounts]:
    async with starter.start() as running:
        yield running
