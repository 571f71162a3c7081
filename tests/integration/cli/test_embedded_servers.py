"""The embedded servers keep what they were given, whatever happens to them or to the supervisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from eros_cli.embedded import postgres_binaries
from eros_cli.embedded.postgres_binaries import account_to_run_as, is_reachable
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import STORES, MeshOptions
from eros_cli.mesh.state import read_state
from tests.support.processes import ends_within

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="concerns root only")


@pytest.fixture
def data_dir(public_tmp_path: Path) -> Path:
    return public_tmp_path / "data"


def options(data_dir: Path, *, durable: bool = False) -> MeshOptions:
    return MeshOptions(
        parts=STORES, data_dir=data_dir, environment=clean_environment(), durable=durable
    )


@asynccontextmanager
async def database(mesh: Mesh) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def valkey(mesh: Mesh) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(mesh.environment()["REDIS_URL"]) as client:
        yield client


async def test_data_outlives_kills_and_restarts(data_dir: Path) -> None:
    async with Mesh(options(data_dir, durable=True)) as mesh:
        async with database(mesh) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        async with valkey(mesh) as client:
            await client.set("kept", "too")
            # Written out, as it is each second, so that the kill cannot come before.
            await client.waitaof(1, 0, 5000)
        for name in mesh.names():
            first = mesh.pid(name)
            await mesh.kill(name)
            await mesh.until_serving(name)
            assert mesh.pid(name) != first
        pids = [mesh.pid(name) for name in mesh.names()]
    assert all(ends_within(pid, 0) for pid in pids)

    async with Mesh(options(data_dir, durable=True)) as mesh:
        async with database(mesh) as connection:
            assert await connection.fetchval("SELECT answer FROM kept") == 42
        async with valkey(mesh) as client:
            assert await client.get("kept") == b"too"


async def test_only_loopback_and_only_with_the_password(data_dir: Path) -> None:
    async with Mesh(options(data_dir)) as mesh:
        environment = mesh.environment()
        wrong = environment["DATABASE_URL"].replace("@", "x@")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong)
        port = mesh.service("valkey").address.rpartition(":")[2]
        once = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis(port=int(port), retry=once) as stranger:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await stranger.ping()
        for name in mesh.names():
            address, _, port = mesh.service(name).address.rpartition(":")
            assert address == "127.0.0.1"
            assert listening_addresses(int(port)) == {"0100007F"}


async def test_a_second_mesh_in_the_same_directory_is_refused(data_dir: Path) -> None:
    async with Mesh(options(data_dir)) as mesh:
        with pytest.raises(MeshError, match=f"process {os.getpid()}, data in {data_dir}"):
            await Mesh(options(data_dir)).__aenter__()
        async with database(mesh) as connection:
            assert await connection.fetchval("SELECT 1") == 1


_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions
from eros_cli.mesh.options import STORES

async def main():
    async with Mesh(MeshOptions(parts=STORES, data_dir=Path(sys.argv[1]))) as mesh:
        print("up", flush=True)
        await mesh.wait()

asyncio.run(main())
"""


async def test_a_killed_supervisor_leaves_no_process_and_no_damage(data_dir: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SUPERVISOR, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    ) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "up\n"
        state = read_state(DataDir(data_dir))
        assert state is not None
        supervisor.kill()
    pids = [child.process.pid for child in state.children.values()]
    assert len(pids) == 2
    assert all(ends_within(pid, 10) for pid in pids)
    # What it left on disk does not keep the next one from starting.
    assert json.loads(DataDir(data_dir).state.read_text())["supervisor"]["pid"] == supervisor.pid
    async with Mesh(options(data_dir)) as mesh, database(mesh) as connection:
        assert await connection.fetchval("SELECT 1") == 1


@needs_root
async def test_as_root_postgres_is_nobody_and_owns_only_its_cluster(data_dir: Path) -> None:
    account = account_to_run_as()
    assert account is not None
    before = data_dir.parent.stat()
    async with Mesh(options(data_dir)) as mesh:
        status = Path(f"/proc/{mesh.pid('postgres')}/status").read_text()
        assert f"Uid:\t{account.uid}\t{account.uid}" in status
        assert "Groups:\t \n" in status
    after = data_dir.parent.stat()
    assert (before.st_mode, before.st_uid) == (after.st_mode, after.st_uid)
    owned = {path.name for path in data_dir.iterdir() if path.stat().st_uid == account.uid}
    assert owned == {"postgres"}


@needs_root
async def test_as_root_an_unreachable_checkout_is_copied(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reachable(path: Path) -> bool:
        return "site-packages" not in path.parts and is_reachable(path)

    monkeypatch.setattr(postgres_binaries, "is_reachable", reachable)
    async with Mesh(options(data_dir)) as mesh:
        program = Path(f"/proc/{mesh.pid('postgres')}/exe").readlink()
        assert program.is_relative_to(data_dir)


@needs_root
async def test_as_root_an_unreachable_data_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(MeshError, match="EROS_DATA_DIR"):
        await Mesh(options(tmp_path / "data")).__aenter__()


def test_reachable_means_every_folder(tmp_path: Path) -> None:
    (tmp_path / "closed" / "open").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    assert not is_reachable(tmp_path / "closed" / "open")
    assert is_reachable(Path("/usr/bin"))


def listening_addresses(port: int) -> set[str]:
    """The local addresses, as proc(5) writes them, on which somebody listens on a TCP port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if int(number, 16) == port and fields[3] == "0A":
                found.add(address)
    return found
