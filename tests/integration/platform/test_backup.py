"""What was backed up is there again, and is brought up to date from there."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.migrations import migrate
from eros_cli.operations.backup import back_up, restore
from tests.support.stores import empty_database


async def test_back_and_forth(postgres_url: str, postgres_server_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres_url)
    query = "INSERT INTO scheduler.zones SELECT 'zone ' || n FROM generate_series(1, 1000) n"
    await connection.execute(query)
    counts = "SELECT (SELECT count(*) FROM scheduler.zones), (SELECT count(*) FROM scheduler.jobs)"
    before = await connection.fetchrow(counts)
    file = tmp_path / "backup"
    assert await back_up(postgres_url, file) == file.stat().st_size > 0
    assert file.stat().st_mode & 0o777 == 0o600
    await connection.close()

    async with empty_database(postgres_server_url, "restored") as url:
        await restore(url, file)
        connection = await asyncpg.connect(url)
        # As a service reads it: what it may do came back too.
        await connection.execute("SET ROLE eros_scheduler")
        assert await connection.fetchrow(counts) == before
        await connection.close()
        assert await migrate(url) == []
        with pytest.raises(MeshError, match="not empty"):
            await restore(url, file)


async def test_a_file_that_is_no_backup_leaves_nothing(
    postgres_server_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    file.write_text("no backup")
    async with empty_database(postgres_server_url, "unrestored") as url:
        with pytest.raises(MeshError, match="pg_restore failed"):
            await restore(url, file)
        with pytest.raises(MeshError, match="is not there"):
            await restore(url, tmp_path / "nothing")
