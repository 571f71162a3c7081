"""What was backed up is there again, and is brought up to date from there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.migrations import migrate
from eros_cli.operations.backup import back_up, restore
from eros_matcher.market.files import MarketStamp
from eros_matcher.market.freshness import is_stale
from tests.support.stores import empty_database

_NIGHT = (Path(__file__).parent / "night.sql").read_text("utf-8")
_STAMP = MarketStamp("", "", 1, 2026, "", 0, 0.0, 0.0, 1, 0)
_FILLED = {
    *("accounts.users", "accounts.profiles", "accounts.sessions", "accounts.refresh_tokens"),
    *("matcher.models", "matcher.features", "matcher.vectors", "matcher.matches"),
    *("matcher.recommendations", "matcher.actions", "matcher.decisions"),
    *("assistant.conversations", "assistant.messages"),
    *("scheduler.jobs", "scheduler.zones", "scheduler.audit", "scheduler.halts"),
}


async def _told(connection: asyncpg.Connection) -> dict[str, tuple[int, str]]:
    """Every table, partitions too, by count and checksum; every sequence by its last number."""
    found: dict[str, tuple[int, str]] = {}
    tables = await connection.fetch(
        """
        SELECT c.oid::regclass::text AS name FROM pg_class c
        WHERE c.relnamespace::regnamespace::text = ANY ($1) AND c.relkind IN ('r', 'p')
        """,
        ["accounts", "scheduler", "matcher", "assistant"],
    )
    for (name,) in tables:
        digest = "coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '')"
        query = f"SELECT count(*) AS rows, {digest} AS digest FROM {name} t"  # noqa: S608 - catalog
        (row,) = await connection.fetch(query)
        found[name] = row["rows"], row["digest"]
    sequences = (
        "SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences"
    )
    for name, last in await connection.fetch(sequences):
        found[name] = (last, "")
    return found


async def test_back_and_forth(postgres_url: str, postgres_server_url: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(_NIGHT)
    before = await _told(connection)
    assert {name for name in _FILLED if not before[name][0]} == set()
    checkpoints = "SELECT count(checkpoint), sum(octet_length(checkpoint)) FROM scheduler.jobs"
    [(kept, size)] = await connection.fetch(checkpoints)
    assert (kept, size) == (100, 140_000)
    file = tmp_path / "backup"
    assert await back_up(postgres_url, file) == file.stat().st_size > 0
    assert file.stat().st_mode & 0o777 == 0o600
    # What comes after it is not in it.
    await connection.execute("DELETE FROM matcher.matches")
    await connection.close()

    async with empty_database(postgres_server_url, "restored") as url:
        await restore(url, file)
        connection = await asyncpg.connect(url)
        assert await _told(connection) == before
        # As services use it: what they may do came back too, and numbers go on.
        await connection.execute("SET ROLE eros_scheduler")
        await connection.execute(
            "INSERT INTO scheduler.audit (event, kind, users, tokens) VALUES (1, 1, '{}', '{}')"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM scheduler.audit")
        await connection.execute("RESET ROLE; SET ROLE eros_matcher")
        number = await connection.fetchval(
            "INSERT INTO matcher.actions (user_id, other_id, match_id, action, at) SELECT user_id,"
            " other_id, match_id, 2, now() FROM matcher.matches LIMIT 1 RETURNING id"
        )
        assert number == before["matcher.actions"][0] + 1
        await connection.close()
        assert await migrate(url) == []
        with pytest.raises(MeshError, match="not empty"):
            await restore(url, file)


async def test_what_comes_from_a_server_that_counted_further_is_no_news_for_ever(
    postgres_url: str, postgres_server_url: str, tmp_path: Path
) -> None:
    async with asyncpg.create_pool(postgres_url, min_size=1) as pool:
        ahead = await pool.fetchval("SELECT pg_current_xact_id()::text::bigint + 50000000")
        await pool.execute(
            "INSERT INTO matcher.features (user_id, in_market, zone, age_min, age_max, interests,"
            " tokens, written, updated_at) VALUES (gen_random_uuid(), false, '', 18, 120, '{}', '',"
            " $1::text::xid8, now())",
            str(ahead),
        )
        file = tmp_path / "backup"
        await back_up(postgres_url, file)
        await pool.execute("DELETE FROM matcher.features WHERE written::text = $1", str(ahead))
    async with empty_database(postgres_server_url, "younger") as url:
        await restore(url, file)
        async with asyncpg.create_pool(url, min_size=1) as pool:
            snapshot = await pool.fetchval("SELECT pg_current_snapshot()::text")
            assert not await is_stale(pool, replace(_STAMP, snapshot=snapshot))


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
