"""The history of the schemas is one line, and applying it twice changes nothing."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import asyncpg
import pytest

from eros_cli import migration_rules
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.migrations import migrate
from eros_cli.paths import MIGRATIONS
from tests.support.stores import fresh_database


def test_numbers_are_unique_and_give_the_order() -> None:
    names = sorted(path.name for path in MIGRATIONS.iterdir())
    assert all(re.fullmatch(r"\d{4}\.[a-z0-9-]+\.sql", name) for name in names), names
    assert len({name[:4] for name in names}) == len(names)


async def test_a_second_time_nothing_is_applied(postgres_url: str) -> None:
    assert await migrate(postgres_url) == []


async def test_a_new_one_is_applied_once(postgres_url: str, tmp_path: Path) -> None:
    history = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (history / "9999.extra.sql").write_text("CREATE TABLE public.extra ();")
    assert await migrate(postgres_url, history) == ["9999.extra"]
    assert await migrate(postgres_url, history) == []


async def test_a_faulty_one_leaves_nothing_behind(postgres_url: str, tmp_path: Path) -> None:
    history = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (history / "9998.faulty.sql").write_text("CREATE TABLE public.half (); SELECT 1 / 0;")
    with pytest.raises(MeshError, match=r"migration 9998\.faulty failed: division by zero"):
        await migrate(postgres_url, history)
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT to_regclass('public.half')") is None
    finally:
        await connection.close()


async def test_a_database_that_cannot_be_reached_is_said() -> None:
    with pytest.raises(MeshError, match="DATABASE_URL cannot be reached"):
        await migrate("postgresql://nobody@127.0.0.1:1/none")


async def test_an_index_is_built_while_a_transaction_writes(
    postgres_url: str, tmp_path: Path
) -> None:
    """As the rules ask: a file without a transaction, and nobody waits for it."""
    index = (
        "-- transactional: false\nCREATE INDEX CONCURRENTLY zones_too ON scheduler.zones (zone);"
    )
    assert migration_rules.faults(index) == []
    history = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (history / "9997.index.sql").write_text(index)
    writer, other = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    try:
        async with writer.transaction():
            await writer.execute("INSERT INTO scheduler.zones VALUES ('first')")
            migrating = asyncio.create_task(migrate(postgres_url, history))
            while not await other.fetchval("SELECT to_regclass('scheduler.zones_too')"):
                assert not migrating.done(), await migrating
                await asyncio.sleep(0.02)
            await other.execute("INSERT INTO scheduler.zones VALUES ('second')", timeout=20)
            assert not migrating.done()
        assert await migrating == ["9997.index"]
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'scheduler.zones_too'::regclass"
        assert await other.fetchval(valid)
    finally:
        await writer.close()
        await other.close()


async def test_a_migration_that_cannot_get_its_lock_gives_up(
    postgres_url: str, tmp_path: Path
) -> None:
    column = "SET LOCAL lock_timeout = '100ms'; ALTER TABLE scheduler.halts ADD COLUMN note text;"
    assert migration_rules.faults(column) == []
    history = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    (history / "9996.column.sql").write_text(column)
    reader = await asyncpg.connect(postgres_url)
    try:
        async with reader.transaction():
            await reader.execute("SELECT FROM scheduler.halts")
            with pytest.raises(MeshError, match="lock timeout"):
                await migrate(postgres_url, history)
        assert await migrate(postgres_url, history) == ["9996.column"]
    finally:
        await reader.close()


async def test_a_database_of_bytes_is_refused(postgres_server_url: str) -> None:
    provider = "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    ascii_only = f"template0 ENCODING 'SQL_ASCII' {provider}"
    async with fresh_database(postgres_server_url, "of_bytes", ascii_only) as url:
        with pytest.raises(MeshError, match="keeps its text in SQL_ASCII"):
            await migrate(url)
