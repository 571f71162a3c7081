"""A result looks at its own rows alone, and a claim not at what changed all at once, however much
that is: PostgreSQL's own count of pages that were looked at, which no other work on the machine
can falsify. What a claim costs among a million people is in `test_million.py`."""

from __future__ import annotations

import pytest

from eros_common.ids import WorkerId
from eros_scheduler import sql_claims
from eros_scheduler.core.model import Zone
from tests.ports.scheduler.explained import (
    BATCH,
    COMPLETE_PAGES,
    EMPTY_PAGES,
    explained_claim,
    explained_result,
    pages,
)
from tests.ports.scheduler.stores import ANALYZE, DUE, NEXT, NIGHT, PostgresStores

PEOPLE = 20_000
LEASED = 4_000
ZONES = tuple(Zone(f"Zone/{number}") for number in range(20))

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


async def test_a_result_looks_at_its_own_rows_alone(full: PostgresStores) -> None:
    """However few rows were leased when the server last counted them."""
    await full.admin.execute(
        "UPDATE scheduler.jobs SET state = 'q', owner = NULL, lease_until = NULL WHERE state = 'l'"
    )
    await full.admin.execute("VACUUM (ANALYZE) scheduler.jobs")
    for number in range(LEASED // BATCH):
        await full.claim(ANALYZE, limit=BATCH, zones=ZONES, owner=WorkerId(f"other-{number}"))
    rows = await full.claim(ANALYZE, limit=BATCH, zones=ZONES)
    users, tokens = [row.user_id for row in rows], [row.token for row in rows]
    completed = await explained_result(full.admin, ANALYZE, users, tokens, NEXT)
    assert pages(completed) <= COMPLETE_PAGES * BATCH


@pytest.mark.parametrize("plan", ["generic", "custom"])
async def test_a_claim_that_finds_nothing_looks_at_next_to_nothing(
    full: PostgresStores, plan: str
) -> None:
    await full.admin.execute("UPDATE scheduler.jobs SET due_at = $1 WHERE state = 'q'", NEXT)
    # What a vacuum cleans away, whoever walks over it first marks, too.
    await full.admin.execute(sql_claims.SWEEP, ANALYZE, ZONES)
    claimed = await explained_claim(full.admin, plan, ANALYZE, NIGHT, ZONES)
    assert claimed["Actual Rows"] == 1
    assert pages(claimed) <= EMPTY_PAGES


async def test_a_claim_after_a_snapshot_that_wakes_everybody_does_not_walk_over_them(
    full: PostgresStores,
) -> None:
    async with full.jobs.snapshot() as snapshot:
        await snapshot.finish()
    await full.jobs.tidy()
    claimed = await explained_claim(full.admin, "generic", ANALYZE, NIGHT, ZONES)
    assert claimed["Actual Rows"] == 1
    assert pages(claimed) <= EMPTY_PAGES
