"""Fixtures of all tests. Servers are started once a session, when the first test asks for them.

| fixture | scope | |
|---|---|---|
| `postgres_url` | module | a migrated, empty database of the module's own |
| `admin` | function | a connection to that database which sees all |
| `valkey_url` | function | the session's Valkey, emptied before the test |
| `valkey_cluster_url` | function | a Valkey Cluster of three primaries, emptied before the test |
| `postgres_server_url` | session | the server itself, as its administrator |
| `valkey_server_url` | session | the server itself, whatever is in it |
| `public_tmp_path` | function | a temporary folder that PostgreSQL can reach when we are root |
| `mesh` | session | the whole mesh; shared, so leave it as it was |
| `gateway` | session | an HTTP client whose paths begin below /api/v1 |
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import hypothesis
import pytest

from eros_cli.mesh.mesh import Mesh
from tests.support.cluster import ValkeyCluster, valkey_cluster
from tests.support.mesh import whole_mesh
from tests.support.stores import empty_valkey, fresh_database, stores

#: Folders in the order they run (cheap before dear), each with the marker its tests get.
_FOLDERS = {"unit": "unit", "ports": "integration", "integration": "integration", "e2e": "e2e"}
_HERE = Path(__file__).parent
_database_numbers = itertools.count(1)

# Tests are not timed: a busy machine is slow to draw examples, and that is no fault.
hypothesis.settings.register_profile(
    "eros", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("eros")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test is marked by the folder it is in. Unit tests first; but where processes share the
    files, the longest first."""
    parallel = os.environ.get("PYTEST_XDIST_WORKER") is not None
    order = list(reversed(_FOLDERS)) if parallel else list(_FOLDERS)

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(_HERE).parts[0]

    for item in items:
        item.add_marker(_FOLDERS[folder(item)])
    items.sort(key=lambda item: order.index(folder(item)))


@pytest.fixture(scope="session")
async def _stores() -> AsyncIterator[Mesh]:
    async with stores() as running:
        yield running


@pytest.fixture(scope="session")
async def postgres_server_url(_stores: Mesh) -> str:
    return _stores.environment()["DATABASE_URL"]


@pytest.fixture(scope="session")
async def valkey_server_url(_stores: Mesh) -> str:
    return _stores.environment()["REDIS_URL"]


@pytest.fixture(scope="module")
async def postgres_url(postgres_server_url: str) -> AsyncIterator[str]:
    name = f"test_{next(_database_numbers)}"
    async with fresh_database(postgres_server_url, name) as url:
        yield url


@pytest.fixture
async def admin(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Sees all that is stored, and who waits."""
    connection = await asyncpg.connect(postgres_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def valkey_url(valkey_server_url: str) -> str:
    await empty_valkey(valkey_server_url)
    return valkey_server_url


@pytest.fixture(scope="session")
async def valkey_cluster_server() -> AsyncIterator[ValkeyCluster]:
    with tempfile.TemporaryDirectory(prefix="eros-cluster-") as folder:
        async with valkey_cluster(Path(folder)) as cluster:
            yield cluster


@pytest.fixture
async def valkey_cluster_url(valkey_cluster_server: ValkeyCluster) -> str:
    await empty_valkey(valkey_cluster_server.url)
    return valkey_cluster_server.url


@pytest.fixture
def public_tmp_path() -> Iterator[Path]:
    # pytest's own temporary folders are closed to everybody else.
    with tempfile.TemporaryDirectory(prefix="eros-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
async def mesh() -> AsyncIterator[Mesh]:
    async with whole_mesh() as running:
        yield running


@pytest.fixture(scope="session")
async def gateway(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{mesh.url}/api/v1", trust_env=False) as client:
        yield client
