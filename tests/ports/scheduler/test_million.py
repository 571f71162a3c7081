"""Claims at 1,000,000 people, 4,000,000 rows: exactly who is due and open, in order, and at a price
in pages that is PostgreSQL's own count. Times are the bench's (`./eros bench queue`)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from eros_common.ids import UserId
from eros_scheduler import sql_jobs
from eros_scheduler.core.model import Zone
from tests.ports.scheduler.explained import (
    BATCH,
    CLAIM_PAGES,
    COMPLETE_PAGES,
    EMPTY_PAGES,
    explained,
    explained_claim,
    explained_result,
    nodes,
    pages,
)
from tests.ports.scheduler.stores import (
    ANALYZE,
    DUE,
    MATCH,
    NEXT,
    NIGHT,
    SCORE,
    PostgresStores,
    postgres_stores,
)

PEOPLE: Final = 1_000_000
SPECIAL: Final = 5_000
"""The first of them, in whose score there is something to be found: `Special`."""
LEASED: Final = 4_000
"""Whose analyses a dozen workers have."""
ZONES: Final = tuple(Zone(f"Zone/{number}") for number in range(20))
OPEN: Final = tuple(ZONES[number] for number in (7, 3, 19, 0, 11, 2, 16, 5, 13, 8, 17, 10))
"""Not in the order of their names."""

FILL: Final = """
INSERT INTO scheduler.jobs (
    user_id, kind, zone, due_at, asleep_since, rested_at, solo_at, state, owner, lease_until,
    leased_at, back_at
)
SELECT md5(p.n::text)::uuid, k.kind, ($2::text[])[1 + p.n % cardinality($2::text[])],
    CASE k.kind WHEN 2 THEN $6 WHEN 4 THEN 'infinity' ELSE $5 END,
    p.since, p.since + interval '1 hour',
    CASE WHEN p.n / 20 % 2 = 0 THEN '-infinity' ELSE $6 END,
    CASE WHEN l.leased THEN 'l' ELSE 'q' END,
    CASE WHEN l.leased THEN 'another' END,
    CASE WHEN l.leased THEN clock_timestamp() + interval '1 hour' END,
    now(), NULL
FROM (
    SELECT n, $5::timestamptz - n % 7200 * interval '1 second' AS since
    FROM generate_series($4::integer + 1, $1::integer) n
) p CROSS JOIN generate_series(1, 4) k(kind)
CROSS JOIN LATERAL (SELECT p.n <= $4 + $3::integer AND k.kind = 1 AS leased) l
"""
"""$1 people, $2 zones, $3 leased, $4 special, $5 due, $6 due next. Everybody else: asleep, analysis
and match due, half of them whatever the window says; no score."""


def user(number: int) -> UserId:
    return UserId(UUID(hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()))


@dataclass(frozen=True, slots=True)
class Special:
    """Somebody whose score is due, or is not, for one reason of ten."""

    number: int

    @property
    def reason(self) -> int:
        return self.number % 10

    @property
    def zone(self) -> Zone:
        return ZONES[self.number // 10 % len(ZONES)]

    @property
    def rested_at(self) -> datetime:
        """Nobody's is another's, and they are not in the order of the rows."""
        if self.reason == 5:
            return NIGHT + timedelta(seconds=1)
        return DUE + timedelta(seconds=self.number * 7919 % 5003)

    @property
    def solo(self) -> bool:
        """The window does not count for them."""
        return self.reason == 0

    @property
    def ripe(self) -> bool:
        return self.reason in {0, 1, 2, 3, 7, 8} and (self.solo or self.zone in OPEN)

    @property
    def blocked(self) -> bool:
        """An earlier kind of theirs is due, or another is being worked on."""
        return self.reason in {7, 8}

    def row(self, kind: int) -> tuple[object, ...]:
        """As the columns of `COLUMNS`."""
        state, due = "q", NEXT
        if kind == SCORE:
            due = NEXT if self.reason == 6 else DUE
            state = "x" if self.reason == 9 else "q"
        elif kind == ANALYZE and self.reason == 7:
            state, due = "b", DUE
        elif kind == MATCH and self.reason == 8:
            state = "l"
        awake, leased = self.reason == 4, state == "l"
        long_after = NIGHT.replace(year=NIGHT.year + 100)
        return (
            user(self.number),
            kind,
            self.zone,
            due,
            None if awake else DUE,
            None if awake else self.rested_at,
            DUE if self.solo else NEXT,
            state,
            "another" if leased else None,
            long_after if leased else None,
            DUE if leased else None,
            long_after if state == "b" else None,
        )


COLUMNS: Final = (
    "user_id", "kind", "zone", "due_at", "asleep_since", "rested_at", "solo_at", "state", "owner",
    "lease_until", "leased_at", "back_at",
)  # fmt: skip
SPECIALS: Final = [Special(number) for number in range(1, SPECIAL + 1)]


@pytest.fixture(scope="module")
async def crowd(postgres_url: str) -> AsyncIterator[PostgresStores]:
    """Filled once, indexes after the data. The tests meet different kinds of job."""
    async with postgres_stores(postgres_url) as real:
        rows = [special.row(kind) for special in SPECIALS for kind in (1, 2, 3, 4)]
        async with real.admin.transaction():
            keys = await real.admin.fetchval(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'jobs_pkey'"
            )
            indexes = await real.admin.fetch(
                "SELECT indexname, indexdef FROM pg_indexes"
                " WHERE schemaname = 'scheduler' AND tablename = 'jobs'"
                " AND indexname <> 'jobs_pkey'"
            )
            # Truncated and filled in one transaction: nothing of it is logged.
            await real.admin.execute(
                "SET LOCAL maintenance_work_mem = '512MB'; TRUNCATE scheduler.jobs;"
                " ALTER TABLE scheduler.jobs DROP CONSTRAINT jobs_pkey;"
                + ";".join(f"DROP INDEX scheduler.{index['indexname']}" for index in indexes)
            )
            await real.admin.execute("INSERT INTO scheduler.zones SELECT unnest($1::text[])", ZONES)
            await real.admin.copy_records_to_table(
                "jobs", schema_name="scheduler", columns=COLUMNS, records=rows
            )
            await real.admin.execute(FILL, PEOPLE, ZONES, LEASED, SPECIAL, DUE, NEXT)
            await real.admin.execute(
                f"ALTER TABLE scheduler.jobs ADD CONSTRAINT jobs_pkey {keys};"
                + ";".join(index["indexdef"] for index in indexes)
            )
        await real.admin.execute("VACUUM (ANALYZE) scheduler.jobs")
        yield real


async def test_who_is_due_and_open_is_claimed_in_order_and_nobody_else(
    crowd: PostgresStores,
) -> None:
    ripe = [special for special in SPECIALS if special.ripe]
    ripe.sort(key=lambda one: (-1 if one.solo else OPEN.index(one.zone), one.rested_at))
    expected = [user(special.number) for special in ripe if not special.blocked]
    assert len(expected) > 10 * BATCH

    claimed = []
    while rows := await crowd.claim(SCORE, zones=OPEN, limit=BATCH):
        claimed += [row.user_id for row in rows]
    assert claimed == expected

    aside = await crowd.admin.fetch("SELECT user_id FROM scheduler.jobs WHERE state = 'w'")
    assert {row["user_id"] for row in aside} == {user(s.number) for s in ripe if s.blocked}
    # What was claimed is dead at the head of the index; the claim that found nothing marked it.
    for plan in ("generic", "custom"):
        nothing = await explained_claim(crowd.admin, plan, SCORE, NIGHT, OPEN)
        assert nothing["Actual Rows"] == 1
        assert pages(nothing) <= EMPTY_PAGES


@pytest.mark.parametrize("plan", ["generic", "custom"])
async def test_a_claim_and_its_result_touch_so_many_pages_a_job(
    crowd: PostgresStores, plan: str
) -> None:
    claimed = await explained_claim(crowd.admin, plan, ANALYZE, NIGHT, ZONES)
    assert claimed["Actual Rows"] == BATCH + 1
    assert pages(claimed) <= CLAIM_PAGES * BATCH
    scans = [node for node in nodes(claimed) if node.get("Relation Name") == "jobs"]
    assert {node["Node Type"] for node in scans} & {"Seq Scan", "Bitmap Heap Scan"} == set()

    completed = await completed_by(plan, crowd)
    assert completed["Actual Rows"] == BATCH
    assert pages(completed) <= COMPLETE_PAGES * BATCH


async def completed_by(owner: str, crowd: PostgresStores) -> Any:
    rows = await crowd.admin.fetch(
        "SELECT user_id, token FROM scheduler.jobs WHERE state = 'l' AND owner = $1", owner
    )
    users, tokens = [row["user_id"] for row in rows], [row["token"] for row in rows]
    return await explained_result(crowd.admin, ANALYZE, users, tokens, NEXT)


async def test_a_result_reads_nobody_who_is_set_aside_where_a_sample_had_none_of_them(
    crowd: PostgresStores,
) -> None:
    # They are one row in thousands: so it is with one ANALYZE in fifty here, and with most of them
    # where fewer wait.
    async with crowd.admin.transaction():
        await crowd.admin.execute(
            "CREATE TEMP TABLE aside AS"
            " SELECT user_id, kind, state, back_at FROM scheduler.jobs WHERE back_at IS NOT NULL;"
            " UPDATE scheduler.jobs SET state = 'q', back_at = NULL WHERE back_at IS NOT NULL;"
            " ANALYZE scheduler.jobs;"
            " UPDATE scheduler.jobs j SET state = a.state, back_at = a.back_at"
            " FROM aside a WHERE j.user_id = a.user_id AND j.kind = a.kind"
        )
    assert await crowd.admin.fetchval("SELECT count(*) FROM aside") > 10 * BATCH
    await explained_claim(crowd.admin, "generic", ANALYZE, NIGHT, ZONES)
    completed = await completed_by("generic", crowd)
    assert completed["Actual Rows"] == BATCH
    assert pages(completed) <= COMPLETE_PAGES * BATCH


async def test_a_snapshot_of_everybody_reads_the_job_rows_thrice_at_the_most(
    crowd: PostgresStores,
) -> None:
    transaction = crowd.admin.transaction()
    await transaction.start()
    try:
        await crowd.admin.execute(
            "CREATE TEMP TABLE sleepers AS"
            " SELECT user_id FROM scheduler.jobs WHERE kind = 3 AND asleep_since IS NOT NULL;"
            " DELETE FROM sleepers WHERE ctid IN (SELECT ctid FROM sleepers LIMIT 3)"
        )
        # PostgreSQL guesses what is in it: it is new, as each snapshot's is.
        woken = await explained(crowd.admin, sql_jobs.WAKE_OTHERS, NIGHT)
        awake = await crowd.admin.fetchval(
            "SELECT count(*) FROM scheduler.jobs"
            " WHERE asleep_since IS NULL AND seen_at > '-infinity'"
        )
        size = await crowd.admin.fetchval("SELECT pg_relation_size('scheduler.jobs') / 8192")
    finally:
        await transaction.rollback()
    assert awake == 3 * 4
    assert pages(woken) <= 3.1 * size


async def test_a_claim_of_what_another_kind_blocks_is_as_cheap(crowd: PostgresStores) -> None:
    claimed = await explained_claim(crowd.admin, "generic", MATCH, NIGHT, ZONES)
    assert claimed["Actual Rows"] == 1, "an earlier kind of everybody's is due"
    assert pages(claimed) <= CLAIM_PAGES * BATCH
