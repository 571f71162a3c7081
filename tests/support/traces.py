"""What is left of somebody who left: docs/security.md says what may be, and for how long."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import pytest

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Database: TypeAlias = asyncpg.Connection | PoolConnectionProxy

# Whatever remembers that somebody left: the id, and only for a while.
_OF_LEAVING = {"accounts.erasures", "matcher.erasures"}
# Logs by day, dropped after some: ids of jobs, nothing else.
_LOGS = ("scheduler.halts", "scheduler.audit")
# Of features a row stays for a while by which market files learn that somebody left.
_FEATURES = "matcher.features"
_OWN = ("user_id", "updated_at", "written")


async def until_gone(database: Database, user_id: str) -> None:
    """Until no table names somebody who left: others' lists are looked through seconds later."""
    rows = None
    try:
        async with asyncio.timeout(20):
            while rows := await rows_with(database, user_id):
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"is still named in {rows}")


async def rows_with(database: Database, user_id: str) -> dict[str, int]:
    """Rows that name somebody, by table, but what is left of whoever leaves."""
    tables = await database.fetch(
        """
        SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname IN ('accounts', 'activity', 'scheduler', 'matcher', 'assistant')
        """
    )
    found: dict[str, int] = {}
    for name in {row["name"] for row in tables} - _OF_LEAVING - {_FEATURES}:
        if name.startswith(_LOGS):
            continue
        query = (
            f"SELECT count(*) FROM {name} t "  # noqa: S608
            "WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0"
        )
        # As a UUID and as bytes.
        if count := await database.fetchval(query, user_id, user_id.replace("-", "")):
            found[name] = count
    if await _features(database, user_id):
        found[_FEATURES] = 1
    return found


async def _features(database: Database, user_id: str) -> dict[str, Any]:
    """What is known of them beside their id: whatever is not as in a row of nobody."""
    row = await database.fetchrow("SELECT * FROM matcher.features WHERE user_id = $1", user_id)
    nothing: tuple[Any, ...] = (None, False, "", b"", [])
    limits = {"age_min": 18, "age_max": 120, "photos": 0, "words": 0}
    return {
        name: value
        for name, value in (row or {}).items()
        if name not in _OWN and value not in nothing and limits.get(name) != value
    }


async def until_no_keys(valkey: Any, user_id: str) -> None:
    """Until no key of Valkey names somebody who left: services drop what they cached when they
    hear of it, and who was asking at that moment is swept away after it."""
    keys: list[bytes] = []
    try:
        async with asyncio.timeout(20):
            while keys := await keys_with(valkey, user_id):
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"is still named in {keys}")


async def keys_with(valkey: Any, user_id: str) -> list[bytes]:
    """Keys of Valkey that name somebody, or hold them."""
    keys = [key async for key in valkey.scan_iter(match=f"*{user_id}*")]
    members = [
        key
        async for key in valkey.scan_iter(_type="zset")
        if await valkey.zscore(key, uuid.UUID(user_id).bytes) is not None
    ]
    # For a minute a mark stays by which no slow reader can put a profile back.
    return [key for key in keys + members if not key.endswith(b":version")]
