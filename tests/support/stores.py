"""Real stores for tests: one PostgreSQL and one Valkey for the whole session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import STORES, MeshOptions
from eros_common.redis import open_redis


@asynccontextmanager
async def stores() -> AsyncIterator[Mesh]:
    """Both servers, PostgreSQL with all migrations applied to the database `eros`."""
    options = MeshOptions(parts=STORES, environment=clean_environment(), durable=False)
    async with Mesh(options) as mesh:
        yield mesh


@asynccontextmanager
async def fresh_database(server_url: str, name: str, template: str = "eros") -> AsyncIterator[str]:
    """A migrated, empty database of its own, by its URL; dropped afterwards."""
    admin = await asyncpg.connect(_with_database(server_url, "postgres"))
    try:
        await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        try:
            yield _with_database(server_url, name)
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@asynccontextmanager
async def read_only(url: str) -> AsyncIterator[None]:
    """The database takes no writes, as a standby or with a full disk; services connect again."""
    admin = await asyncpg.connect(url)
    name = await admin.fetchval("SELECT quote_ident(current_database())")
    try:
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'eros-%'"
        )
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await admin.close()


def empty_database(server_url: str, name: str) -> AbstractAsyncContextManager[str]:
    """A database without anything in it."""
    return fresh_database(server_url, name, "template0")


async def empty_valkey(url: str) -> None:
    """Remove all keys and functions."""
    async with open_redis(url, app="test") as client:
        await client.flushall()
        await client.function_flush()


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
