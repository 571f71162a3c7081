"""One gateway for all tests of a module; tests that need another open their own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.gateway.edge import Edge, open_edge


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    async with open_edge(
        tmp_path_factory.mktemp("edge"),
        cors_origins="https://app.example.org",
        call_timeout_seconds=1.0,
    ) as edge:
        yield edge


@pytest.fixture
def edge(_edge: Edge) -> Edge:
    """With backends that remember nothing of the tests before."""
    _edge.backends.reset()
    return _edge
