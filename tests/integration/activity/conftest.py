from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eros_common.testing import TestTokens
from tests.integration.activity.service import Activity, activity


@pytest.fixture
def tokens() -> TestTokens:
    return TestTokens()


@pytest.fixture
async def replica(valkey_url: str, tokens: TestTokens) -> AsyncIterator[Activity]:
    async with activity(valkey_url, tokens) as running:
        yield running
