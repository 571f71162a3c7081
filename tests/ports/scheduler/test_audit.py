"""The audit says what happened, to whom, under which fence, for how long, and cannot be changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from eros_common.ids import UserId
from eros_scheduler.core.model import HaltReason, HaltRecord
from eros_scheduler.ports import AuditEntry, AuditEvent, JobState, StoreUnavailableError
from eros_scheduler.store_postgres_audit import PostgresAudit
from eros_scheduler.store_postgres_halts import PostgresHalts
from tests.ports.scheduler.stores import (
    ANALYZE,
    BERLIN,
    MATCH,
    NIGHT,
    SCORE,
    WORKER,
    PostgresStores,
    Stores,
)


async def _of(real: PostgresStores, user: UserId) -> list[AuditEntry]:
    """Oldest first."""
    return list(await PostgresAudit(real.pool).of(user, days=2, limit=100))[::-1]


async def test_a_life_of_a_job(real: PostgresStores) -> None:
    one, other = await real.asleep(2)
    rows = {row.user_id: row for row in await real.claim(ANALYZE)}
    first = rows[one].token
    await real.fences.checkpoint([one], ANALYZE, [first], [b"halfway"], "woke")
    (row,) = await real.claim(ANALYZE)
    await real.fences.fail([one], ANALYZE, [row.token], ["no photo"])
    assert await real.jobs.retry(user_id=one, kind=ANALYZE, limit=10) == 1
    (row,) = await real.claim(ANALYZE)
    await real.wait(31)
    await real.jobs.take_expired(limit=10)
    rows = {row.user_id: row for row in await real.claim(ANALYZE)}
    await real.fences.mark_due([one], [BERLIN], ANALYZE, NIGHT)
    rows = {row.user_id: row for row in await real.claim(ANALYZE)}
    await real.complete([rows[one]])
    await real.jobs.cancel(one, kind=ANALYZE, why="by hand")

    entries = await _of(real, one)
    fences = sorted({entry.token for entry in entries})
    life = [(entry.event.name, fences.index(entry.token), entry.why) for entry in entries]
    assert life == [
        ("LEASED", 0, ""),
        ("GIVEN_BACK", 0, "woke"),
        ("LEASED", 1, ""),
        ("FAILED", 1, "no photo"),
        ("RETRIED", 2, ""),
        ("LEASED", 3, ""),
        ("EXPIRED", 3, ""),
        ("LEASED", 4, ""),
        ("OUTDATED", 4, ""),
        ("LEASED", 5, ""),
        ("DONE", 5, ""),
        ("CANCELLED", 5, "by hand"),
    ]
    nobodys = {AuditEvent.RETRIED, AuditEvent.CANCELLED}
    assert all((entry.worker == WORKER) != (entry.event in nobodys) for entry in entries)
    assert {entry.kind for entry in entries} == {ANALYZE}
    ended = [e for e in entries if e.event not in nobodys | {AuditEvent.LEASED}]
    assert all(entry.ms is not None and 0 <= entry.ms < 60_000 for entry in ended)
    assert [entry.size for entry in entries if entry.size is not None] == [len(b"halfway")]
    assert {e.event for e in await _of(real, other)} == {AuditEvent.LEASED, AuditEvent.EXPIRED}


async def test_a_batch_is_one_row(real: PostgresStores) -> None:
    before = await real.admin.fetchval("SELECT count(*) FROM scheduler.audit")
    people = await real.asleep(50)
    await real.complete(await real.claim(ANALYZE))
    assert await real.admin.fetchval("SELECT count(*) FROM scheduler.audit") == before + 2
    assert [entry.event.name for entry in await _of(real, people[49])] == ["LEASED", "DONE"]


async def test_what_was_fenced_did_not_happen(real: PostgresStores) -> None:
    (one,) = await real.asleep()
    (row,) = await real.claim(ANALYZE)
    await real.fences.checkpoint([one], ANALYZE, [row.token], [None], "woke")
    known = await _of(real, one)
    assert await real.complete([row]) == set()
    await real.fences.fail([one], ANALYZE, [row.token], ["late"])
    await real.fences.checkpoint([one], ANALYZE, [row.token], [b"late"], "woke")
    assert await _of(real, one) == known


async def test_a_transaction_that_fails_leaves_no_trace(real: PostgresStores) -> None:
    (one,) = await real.asleep()
    (row,) = await real.claim(ANALYZE)
    known = await _of(real, one)
    transaction = real.admin.transaction()
    await transaction.start()
    done = "SELECT * FROM scheduler.complete($1, 1::smallint, $2, $3)"
    assert await real.admin.fetch(done, [one], [row.token], [NIGHT])
    await transaction.rollback()
    assert await _of(real, one) == known


@pytest.mark.parametrize("table", ["audit", "halts"])
@pytest.mark.parametrize("change", ["DELETE FROM", "TRUNCATE"])
async def test_nobody_changes_what_was_written(
    real: PostgresStores, table: str, change: str
) -> None:
    today = await real.admin.fetchval("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')")
    for name in (table, f"{table}_{today}", f"{table}_rest"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await real.pool.execute(f"{change} scheduler.{name}")


async def test_days_are_prepared_and_forgotten(real: PostgresStores) -> None:
    audit = PostgresAudit(real.pool)
    await real.admin.execute(
        """
        CREATE TABLE scheduler.audit_20200101 PARTITION OF scheduler.audit
            FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00');
        INSERT INTO scheduler.audit (at, event, kind, users, tokens)
            VALUES ('2020-01-01 12:00+00', 1, 1, '{}', '{}'), ('2020-01-03', 1, 1, '{}', '{}')
        """
    )
    assert await audit.keep(days=30) == 1
    assert await audit.keep(days=30) == 0
    old = "SELECT count(*) FROM scheduler.audit WHERE at < now() - interval '30 days'"
    assert await real.admin.fetchval(old) == 0
    prepared = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'scheduler.audit'::regclass"
    # Today, two days ahead, and the rest.
    assert await real.admin.fetchval(prepared) >= 4


@pytest.fixture
async def unprepared(real: PostgresStores) -> AsyncIterator[None]:
    """Nobody prepared today, as if everything had been off for days; it is mended afterwards."""
    days = [(table, ahead) for table in ("audit", "halts") for ahead in range(3)]
    for table, ahead in days:
        day = await real.admin.fetchval(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + $1 * interval '1 day', 'YYYYMMDD')", ahead
        )
        await real.admin.execute(f"DROP TABLE scheduler.{table}_{day}")
    yield
    await PostgresAudit(real.pool).keep(days=30)


@pytest.mark.usefixtures("unprepared")
async def test_what_was_written_before_its_day_was_prepared_is_moved_there(
    real: PostgresStores,
) -> None:
    (one,) = await real.asleep()
    await real.claim(ANALYZE)
    known = await _of(real, one)
    assert known
    await PostgresAudit(real.pool).keep(days=30)
    assert await _of(real, one) == known
    left = "SELECT count(*) FROM scheduler.audit_rest WHERE at > now() - interval '1 day'"
    assert await real.admin.fetchval(left) == 0


@pytest.mark.usefixtures("unprepared")
async def test_days_are_prepared_once_nobody_reads_the_rest(real: PostgresStores) -> None:
    audit = PostgresAudit(real.pool)
    reading = real.admin.transaction()
    await reading.start()
    await real.admin.fetchval("SELECT count(*) FROM scheduler.audit")  # as a backup does
    with pytest.raises(StoreUnavailableError, match="LockNotAvailable"):
        await audit.keep(days=30)
    await reading.rollback()
    assert await audit.keep(days=30) == 0


async def test_halts_are_kept_by_day_in_order(real: PostgresStores) -> None:
    (one,) = await real.asleep()
    now = await real.admin.fetchval("SELECT extract(epoch FROM now())::float8")
    halts = PostgresHalts(real.pool)
    for days in (3, 0, 1):
        at = now - timedelta(days=days).total_seconds()
        await halts.append(
            [
                HaltRecord(
                    user_id=one,
                    kind=MATCH,
                    reason=HaltReason.WOKE,
                    worker=WORKER,
                    touched_at=at,
                    event_at=at,
                    dispatched_at=at,
                    received_at=None,
                    durable_at=None,
                    left_at=None,
                    killed=False,
                )
            ]
        )
    found = await halts.latest(limit=2, user_id=one)
    assert [round((now - halt.event_at) / 86400) for halt in found] == [1, 0]


async def test_the_dead_are_retried_as_if_they_had_never_failed(stores: Stores) -> None:
    dead, backing_off = await stores.asleep(2)
    for _ in range(5):
        rows = {row.user_id: row for row in await stores.claim(ANALYZE)}
        await stores.fences.fail([dead], ANALYZE, [rows[dead].token], ["no"])
        if backing_off in rows:
            await stores.jobs.release([rows[backing_off].job])
        await stores.wait(7200)
        await stores.jobs.take_expired(limit=10)
    rows = {row.user_id: row for row in await stores.claim(ANALYZE)}
    await stores.fences.fail([backing_off], ANALYZE, [rows[backing_off].token], ["no"])
    assert await stores.jobs.retry(user_id=None, kind=SCORE, limit=10) == 0
    assert await stores.jobs.retry(user_id=dead, kind=None, limit=10) == 1
    assert [row.user_id for row in await stores.claim(ANALYZE)] == [dead]
    assert (await stores.row(dead, ANALYZE)).attempts == 0
    assert await stores.jobs.retry(user_id=None, kind=ANALYZE, limit=10) == 1
    assert [row.user_id for row in await stores.claim(ANALYZE)] == [backing_off]


async def test_what_is_cancelled_is_fenced_and_stays_off_until_retried(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    count, leased = await stores.jobs.cancel(one, kind=ANALYZE, why="by hand")
    assert (count, [owned.job for owned in leased]) == (1, [row.job])
    assert await stores.complete([row]) == set()
    view = await stores.row(one, ANALYZE)
    assert (view.state, view.last_error, view.owner) == (JobState.DEAD, "by hand", None)
    assert await stores.claim(ANALYZE) == []
    # The others of the same person go on without it.
    assert len(await stores.claim(SCORE)) == 1
    assert await stores.jobs.cancel(one, kind=ANALYZE, why="again") == (0, [])
    await stores.jobs.cancel(one, kind=SCORE, why="by hand")
    assert await stores.jobs.retry(user_id=one, kind=ANALYZE, limit=10) == 1
    assert len(await stores.claim(ANALYZE)) == 1


async def test_all_of_a_persons_jobs_can_be_cancelled(stores: Stores) -> None:
    one, other = await stores.asleep(2)
    assert (await stores.jobs.cancel(one, kind=None, why="by hand"))[0] == 4
    assert [row.user_id for row in await stores.claim(ANALYZE)] == [other]
