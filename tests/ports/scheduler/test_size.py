"""What a claim and a result touch does not grow with the number of people: PostgreSQL's own count
of the pages that were looked at, which no other work on the machine can falsify."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eros_common.ids import WorkerId
from eros_scheduler import sql_claims
from eros_scheduler.core.model import Zone
from tests.ports.scheduler.stores import ANALYZE, DUE, MATCH, NEXT, NIGHT, PostgresStores

PEOPLE = 20_000
LEASED = 4_000
BATCH = 100
ZONES = tuple(Zone(f"Zone/{number}") for number in range(20))
CLAIM_PAGES = 22
"""A job; measured: 16."""
COMPLETE_PAGES = 26
"""A job; measured: 19."""
EMPTY_PAGES = 300
"""A claim that finds nothing in 20 zones; measured: 156."""

FILL = """
INSERT INTO scheduler.jobs (
    user_id, kind, zone, due_at, asleep_since, rested_at, solo_at, state, owner, lease_until,
    leased_at
)
SELECT p.user_id, k.kind, p.zone,
    CASE k.kind WHEN 2 THEN $5 WHEN 4 THEN 'infinity' ELSE $4 END,
    p.since, p.since + interval '1 hour',
    CASE WHEN p.n % 2 = 0 THEN '-infinity' ELSE $5 END,
    CASE WHEN p.n <= $3 AND k.kind = 1 THEN 'l' ELSE 'q' END,
    CASE WHEN p.n <= $3 AND k.kind = 1 THEN 'another' END,
    CASE WHEN p.n <= $3 AND k.kind = 1 THEN clock_timestamp() + interval '1 hour' END,
    now()
FROM (
    SELECT n, gen_random_uuid() AS user_id,
        $4::timestamptz - random() * interval '2 hours' AS since,
        ($2::text[])[1 + n % cardinality($2::text[])] AS zone
    FROM generate_series(1, $1::integer) n
) p CROSS JOIN generate_series(1, 4) k(kind)
"""


@pytest.fixture
async def full(real: PostgresStores) -> PostgresStores:
    """Everybody asleep, analysis and match due; half of them whatever the window says. Some of the
    analyses are leased, as many as a dozen workers have."""
    await real.admin.execute("INSERT INTO scheduler.zones SELECT unnest($1::text[])", ZONES)
    await real.admin.execute(FILL, PEOPLE, ZONES, LEASED, DUE, NEXT)
    await real.admin.execute("VACUUM (ANALYZE) scheduler.jobs")
    return real


def pages(node: Any) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def nodes(node: Any) -> list[Any]:
    return [node, *(found for child in node.get("Plans", []) for found in nodes(child))]


async def claim(real: PostgresStores, plan: str, kind: int) -> Any:
    """The claim as PostgreSQL explains it, which is done; the worker is `plan`."""
    zones = ", ".join(f"'{zone}'" for zone in ZONES)
    await real.admin.execute(f"SET plan_cache_mode = force_{plan}_plan")
    await real.admin.execute(
        "PREPARE claim(smallint, text[], timestamptz, bigint, text, float8) AS " + sql_claims.CLAIM
    )
    try:
        text = await real.admin.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE claim("
            f"{kind}::smallint, ARRAY[{zones}], '{NIGHT.isoformat()}', {BATCH}, '{plan}', 30)"
        )
    finally:
        await real.admin.execute("DEALLOCATE claim; RESET plan_cache_mode")
    return json.loads(text)[0]["Plan"]


@pytest.mark.parametrize("plan", ["generic", "custom"])
async def test_a_claim_and_its_result_touch_so_many_pages_a_job(
    full: PostgresStores, plan: str
) -> None:
    claimed = await claim(full, plan, ANALYZE)
    assert claimed["Actual Rows"] == BATCH + 1
    assert pages(claimed) <= CLAIM_PAGES * BATCH
    scans = [node for node in nodes(claimed) if node.get("Relation Name") == "jobs"]
    assert {node["Node Type"] for node in scans} & {"Seq Scan", "Bitmap Heap Scan"} == set()

    rows = await full.admin.fetch(
        "SELECT user_id, token FROM scheduler.jobs WHERE state = 'l' AND owner = $1", plan
    )
    text = await full.admin.fetchval(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
        " SELECT * FROM scheduler.complete($1, 1::smallint, $2, $3)",
        [row["user_id"] for row in rows],
        [row["token"] for row in rows],
        [NEXT] * len(rows),
    )
    completed = json.loads(text)[0]["Plan"]
    assert completed["Actual Rows"] == BATCH
    assert pages(completed) <= COMPLETE_PAGES * BATCH


async def test_a_result_looks_at_its_own_rows_alone(full: PostgresStores) -> None:
    """However few rows were leased when the server last counted them."""
    await full.admin.execute(
        "UPDATE scheduler.jobs SET state = 'q', owner = NULL, lease_until = NULL WHERE state = 'l'"
    )
    await full.admin.execute("VACUUM (ANALYZE) scheduler.jobs")
    for number in range(LEASED // BATCH):
        await full.claim(ANALYZE, limit=BATCH, zones=ZONES, owner=WorkerId(f"other-{number}"))
    rows = await full.claim(ANALYZE, limit=BATCH, zones=ZONES)
    text = await full.admin.fetchval(
        "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"
        " SELECT * FROM scheduler.complete($1, 1::smallint, $2, $3)",
        [row.user_id for row in rows],
        [row.token for row in rows],
        [NEXT] * BATCH,
    )
    assert pages(json.loads(text)[0]["Plan"]) <= COMPLETE_PAGES * BATCH


async def test_a_claim_of_what_another_kind_blocks_is_as_cheap(full: PostgresStores) -> None:
    claimed = await claim(full, "generic", MATCH)
    assert claimed["Actual Rows"] == 1, "an earlier kind of everybody's is due"
    assert pages(claimed) <= CLAIM_PAGES * BATCH


@pytest.mark.parametrize("plan", ["generic", "custom"])
async def test_a_claim_that_finds_nothing_looks_at_next_to_nothing(
    full: PostgresStores, plan: str
) -> None:
    await full.admin.execute("UPDATE scheduler.jobs SET due_at = $1 WHERE state = 'q'", NEXT)
    # What a vacuum cleans away, whoever walks over it first marks, too.
    await full.admin.execute(sql_claims.SWEEP, ANALYZE, ZONES)
    claimed = await claim(full, plan, ANALYZE)
    assert claimed["Actual Rows"] == 1
    assert pages(claimed) <= EMPTY_PAGES


async def test_a_claim_after_a_snapshot_that_wakes_everybody_does_not_walk_over_them(
    full: PostgresStores,
) -> None:
    async with full.jobs.snapshot() as snapshot:
        await snapshot.finish()
    claimed = await claim(full, "generic", ANALYZE)
    assert claimed["Actual Rows"] == 1
    assert pages(claimed) <= EMPTY_PAGES
