"""The session's stores are what the other tests take them for."""

from __future__ import annotations

import asyncpg
import redis.asyncio


async def test_a_module_gets_a_migrated_database(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        schemas = await connection.fetch(
            "SELECT nspname, nspowner::regrole::text FROM pg_namespace "
            "WHERE nspname IN ('accounts', 'scheduler', 'matcher') ORDER BY 1"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in schemas] == [
        ("accounts", "eros_accounts"),
        ("matcher", "eros_matcher"),
        ("scheduler", "eros_scheduler"),
    ]


async def test_a_service_takes_its_role(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url, server_settings={"role": "eros_matcher"})
    try:
        await connection.execute("CREATE TABLE matcher.of_its_own ()")
        assert await connection.fetchval("SELECT current_user") == "eros_matcher"
    finally:
        await connection.close()


async def test_valkey_is_empty_and_keeps_everything(valkey_url: str) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as client:
        assert await client.dbsize() == 0
        await client.set("left", "behind")
        policy = await client.config_get("maxmemory-policy")
    assert policy == {"maxmemory-policy": "noeviction"}


async def test_valkey_is_empty_again(valkey_url: str) -> None:
    async with redis.asyncio.Redis.from_url(valkey_url) as client:
        assert await client.dbsize() == 0
