from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant.service import Service, start

Starter = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def starter(postgres_url: str, valkey_url: str, tmp_path: Path) -> Starter:
    """Starts the service with settings of the test's own."""

    def start_with(**settings: Any) -> AbstractAsyncContextManager[Service]:
        return start(postgres_url, valkey_url, tmp_path, **settings)

    return start_with


@pytest.fixture
async def assistant(starter: Starter) -> AsyncIterator[Service]:
    """Without a model, and with Apertium where the machine has it."""
    async with starter() as running:
        yield running
