from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assistant.service import Service, new_account, start

Starter = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def starter(postgres_url: str, valkey_url: str, tmp_path: Path) -> Starter:
    """Starts the service with settings of the test's own."""

    def start_with(**settings: Any) -> AbstractAsyncContextManager[Service]:
        return start(postgres_url, valkey_url, tmp_path, **settings)

    return start_with


@pytest.fixture(scope="module")
async def _shared(
    postgres_url: str, valkey_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("assistant")
    async with start(postgres_url, valkey_server_url, folder) as running:
        yield running


@pytest.fixture
async def assistant(_shared: Service, postgres_url: str) -> Service:
    """Without a model, and with Apertium where the machine has it: one for all tests of a file,
    and somebody else who asks in each, of whom nothing is cached yet."""
    return replace(_shared, user=await new_account(postgres_url))
