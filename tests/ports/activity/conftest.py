from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.ports.activity.stores import Stores, memory_stores, valkey_stores


@pytest.fixture(params=["memory", "valkey", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """None for memory."""
    url: str | None = None
    if request.param == "valkey":
        url = request.getfixturevalue("valkey_url")
    elif request.param == "cluster":
        url = request.getfixturevalue("valkey_cluster_url")
    return url


@pytest.fixture
async def stores(store_url: str | None) -> AsyncIterator[Stores]:
    if store_url is None:
        yield memory_stores()
    else:
        async with valkey_stores(store_url) as found:
            yield found
