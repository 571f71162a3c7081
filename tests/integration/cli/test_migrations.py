"""The history of the schemas is one line, and applying it twice changes nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import asyncpg
import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.migrations import migrate
from eros_cli.paths import MIGRATIONS


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
