"""A claim as PostgreSQL explains it: which plan, how many pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from eros_scheduler import sql_claims
from eros_scheduler.core.model import Zone

BATCH = 100
CLAIM_PAGES = 22
"""A job; measured: 16.5."""
COMPLETE_PAGES = 26
"""A job; measured: 18.2 and 20.1."""
EMPTY_PAGES = 300
"""A claim that finds nothing in 20 zones; measured: 153."""


def pages(node: Any) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def nodes(node: Any) -> list[Any]:
    return [node, *(found for child in node.get("Plans", []) for found in nodes(child))]


async def explained(connection: asyncpg.Connection, query: str, *arguments: object) -> Any:
    """The query's plan as it was carried out: what the query does is done."""
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *arguments)
    return json.loads(text)[0]["Plan"]


async def explained_claim(
    connection: asyncpg.Connection, plan: str, kind: int, night: datetime, zones: Sequence[Zone]
) -> Any:
    """`plan`: generic or custom; the worker's name, too."""
    names = ", ".join(f"'{zone}'" for zone in zones)
    await connection.execute(f"SET plan_cache_mode = force_{plan}_plan")
    await connection.execute(
        "PREPARE claim(smallint, text[], timestamptz, bigint, text, float8) AS " + sql_claims.CLAIM
    )
    try:
        return await explained(
            connection,
            f"EXECUTE claim({kind}::smallint, ARRAY[{names}], '{night.isoformat()}', {BATCH},"
            f" '{plan}', 30)",
        )
    finally:
        await connection.execute("DEALLOCATE claim; RESET plan_cache_mode")


async def explained_result(
    connection: asyncpg.Connection,
    kind: int,
    users: Sequence[object],
    tokens: Sequence[int],
    due_at: datetime,
) -> Any:
    """`complete`; what is in the function is in the pages of its only node."""
    return await explained(
        connection,
        "SELECT * FROM scheduler.complete($1, $2, $3, $4)",
        users,
        kind,
        tokens,
        [due_at] * len(users),
    )
