"""k8s/examples against real stores: roles and logins, addresses with TLS, Valkey's settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import yaml
from redis.exceptions import ConnectionError as RedisConnectionError

from eros_cli.embedded.valkey import binary
from eros_cli.mesh.migrations import migrate
from eros_cli.operations.backup import back_up, restore
from eros_cli.paths import CHECKOUT
from eros_common.postgres import DatabaseUnreachable, open_pool
from eros_common.redis import open_redis, ping
from tests.support.certificates import Pair
from tests.support.stores import empty_database
from tests.support.tls_front import tls_front

EXAMPLES = CHECKOUT / "k8s" / "examples"
CA = "/run/eros/stores-ca/ca.crt"
#: Of the example, and what they are called here: the server's administrator is `eros` already.
LOGINS = {"eros_owner": "example_owner", "eros": "example_login"}
SERVICES = ("eros_accounts", "eros_scheduler", "eros_matcher", "eros_assistant")


def examples(file: str, kind: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all((EXAMPLES / file).read_text("utf-8"))
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def address(secret: str, key: str) -> str:
    return str(examples("secrets.yaml", "Secret")[secret]["stringData"][key])


@asynccontextmanager
async def example_roles(server_url: str) -> AsyncIterator[None]:
    """What the operator makes of the example's list of roles."""
    roles = examples("postgres.yaml", "Cluster")["postgres"]["spec"]["managed"]["roles"]
    assert {role["name"] for role in roles} == {*SERVICES, *LOGINS}
    admin = await asyncpg.connect(server_url)
    try:
        for role in roles:
            if not role["login"]:
                continue
            name = LOGINS[role["name"]]
            await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'PASSWORD'")
            await admin.execute(f"GRANT {', '.join(role['inRoles'])} TO {name}")
        yield
    finally:
        for name in LOGINS.values():
            await admin.execute(f"DROP ROLE IF EXISTS {name}")
        await admin.close()


def here(example: str, ca: Path, port: int, **changes: str) -> str:
    """The example's address, leading to our port: what differs is said, what is left stays."""
    parts = urlsplit(example)
    assert CA in parts.query
    user = LOGINS.get(parts.username or "", parts.username or "")
    password = changes.get("password", parts.password)
    return urlunsplit(
        parts._replace(
            netloc=f"{user}:{password}@localhost:{port}",
            path=changes.get("path", parts.path),
            query=parts.query.replace(CA, str(ca)),
        )
    )


def _as_owner(url: str) -> str:
    parts = urlsplit(url)
    netloc = f"example_owner:PASSWORD@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=netloc))


async def test_the_owner_migrates_and_the_login_serves_as_the_example_says(
    postgres_server_url: str, tmp_path: Path
) -> None:
    pair, other = Pair.fresh(), Pair.fresh()
    front = tls_front(postgres_server_url, pair, tmp_path, postgres=True)
    ca, wrong = tmp_path / "ca.crt", tmp_path / "wrong.crt"
    ca.write_bytes(pair.certificate)
    wrong.write_bytes(other.certificate)
    admin = await asyncpg.connect(postgres_server_url)
    async with (
        example_roles(postgres_server_url),
        empty_database(postgres_server_url, "example") as url,
        empty_database(postgres_server_url, "example_again") as again,
        front as port,
    ):
        for database in ("example", "example_again"):
            await admin.execute(f"ALTER DATABASE {database} OWNER TO example_owner")
        await admin.close()
        owner_url = address("eros-database-owner", "DATABASE_URL")
        owner = here(owner_url, ca, port, path=urlsplit(url).path)
        assert await migrate(owner)
        assert await migrate(owner) == []
        login = here(address("eros-stores", "DATABASE_URL"), ca, port, path="/example")
        for role in SERVICES:
            async with open_pool(login, app="test", role=role, size=1) as pool:
                assert await pool.fetchval("SELECT current_user") == role
        # Backup and restore with no more rights than that; our package's programs speak no TLS.
        await back_up(_as_owner(url), tmp_path / "backup")
        await restore(_as_owner(again), tmp_path / "backup")
        assert await migrate(_as_owner(again)) == []
        for bad in (wrong, tmp_path / "none.crt"):
            login = here(address("eros-stores", "DATABASE_URL"), bad, port, path="/example")
            with pytest.raises(DatabaseUnreachable):
                async with open_pool(login, app="test", size=1, start_seconds=0):
                    pass


async def test_valkey_is_believed_by_its_certificate(
    valkey_server_url: str, tmp_path: Path
) -> None:
    pair = Pair.fresh()
    password = urlsplit(valkey_server_url).password or ""
    ca, wrong = tmp_path / "ca.crt", tmp_path / "wrong.crt"
    ca.write_bytes(pair.certificate)
    wrong.write_bytes(Pair.fresh().certificate)
    async with tls_front(valkey_server_url, pair, tmp_path, postgres=False) as port:
        for key in ("ACTIVITY_REDIS_URL", "CACHE_REDIS_URL"):
            example = address("eros-stores", key)
            async with open_redis(here(example, ca, port, password=password), app="test") as client:
                await ping(client)
            url = here(example, wrong, port, password=password)
            async with open_redis(url, app="test", retries=0) as client:
                with pytest.raises(RedisConnectionError, match="certificate verify failed"):
                    await ping(client)


@pytest.mark.parametrize(
    ("name", "policy", "appends"),
    [("valkey-activity", "noeviction", "yes"), ("valkey-cache", "allkeys-lru", "no")],
)
async def test_valkey_takes_the_examples_settings(
    name: str, policy: str, appends: str, tmp_path: Path
) -> None:
    """All but TLS, which the server of our package was built without."""
    text = str(examples("valkey.yaml", "ConfigMap")[name]["data"]["valkey.conf"])
    password = examples("valkey.yaml", "Secret")["valkey-password"]["stringData"]["password.conf"]
    (tmp_path / "password.conf").write_text(password)
    text = text.replace("/run/password/", f"{tmp_path}/").replace("dir /data", f"dir {tmp_path}")
    lines = [line for line in text.splitlines() if not line.startswith("tls-")]
    socket = tmp_path / "socket"
    (tmp_path / "valkey.conf").write_text("\n".join([*lines, f"unixsocket {socket}", ""]))
    server = await asyncio.create_subprocess_exec(
        str(binary()),
        str(tmp_path / "valkey.conf"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not socket.exists():
                await asyncio.sleep(0.02)
        async with open_redis(f"unix://:PASSWORD@{socket}", app="test") as client:
            found = await client.config_get("maxmemory-policy", "appendonly", "save")
        assert found["maxmemory-policy"] == policy
        assert found["appendonly"] == appends
        if name == "valkey-cache":
            assert found["save"] == ""
    finally:
        server.terminate()
        await server.wait()
