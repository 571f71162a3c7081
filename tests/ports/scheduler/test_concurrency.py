"""What only a database can get wrong: claims that overlap, locks that cross, roles that reach too
far, updates that move rows about."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import asyncpg
import pytest

from eros_common.ids import UserId, WorkerId
from eros_scheduler import sql_claims, sql_jobs
from eros_scheduler.core.model import LeasedRow, OwnedJob
from eros_scheduler.ports import JobState
from tests.ports.scheduler.stores import (
    ANALYZE,
    BERLIN,
    DUE,
    MATCH,
    NEXT,
    NIGHT,
    SCORE,
    PostgresFences,
    PostgresStores,
)

MINUTE = timedelta(minutes=1)


async def test_claims_at_the_same_time_never_overlap(real: PostgresStores) -> None:
    people = await real.asleep(2000)

    async def claim_all(owner: WorkerId) -> list[LeasedRow]:
        mine: list[LeasedRow] = []
        while rows := await real.claim(ANALYZE, limit=17, owner=owner):
            mine += rows
        return mine

    found = await asyncio.gather(*(claim_all(WorkerId(f"w{n}")) for n in range(6)))
    everybody = [row.user_id for mine in found for row in mine]
    assert len(everybody) == len(set(everybody)) == len(people)


async def test_a_claim_does_not_wait_for_a_locked_row(real: PostgresStores) -> None:
    people = await real.asleep(3)
    async with real.admin.transaction():
        await real.admin.execute(
            "SELECT FROM scheduler.jobs WHERE user_id = $1 AND kind = 1 FOR UPDATE", people[0]
        )
        rows = await asyncio.wait_for(real.claim(ANALYZE), 5)
    assert {row.user_id for row in rows} == set(people[1:])


async def test_holding_in_opposite_orders_cannot_deadlock(
    real: PostgresStores, postgres_url: str
) -> None:
    await real.asleep(200)
    rows = list(await real.claim(ANALYZE, limit=200))
    others = [await asyncpg.connect(postgres_url) for _ in range(4)]

    async def hold_and_let_go(connection: asyncpg.Connection, seed: int) -> None:
        shuffled = random.Random(seed).sample(rows, len(rows))
        fences = PostgresFences(connection)
        for _ in range(10):
            held = await fences.hold(
                [row.user_id for row in shuffled], ANALYZE, [row.token for row in shuffled]
            )
            assert len(held) == len(rows)

    try:
        await asyncio.gather(*(hold_and_let_go(c, n) for n, c in enumerate(others)))
    finally:
        for connection in others:
            await connection.close()


async def test_a_wake_that_waits_for_a_claim_names_its_lease(
    real: PostgresStores, postgres_url: str
) -> None:
    (one,) = await real.asleep()
    other = await asyncpg.connect(postgres_url)
    try:
        async with other.transaction():
            # A claim that has not committed yet.
            await other.execute(
                "UPDATE scheduler.jobs SET state = 'l', token = token + 1, owner = 'late',"
                " lease_until = clock_timestamp() + interval '30 s', claimed_at = $2"
                " WHERE user_id = $1 AND kind = 1",
                one,
                NIGHT,
            )
            waking = asyncio.create_task(real.wake([one], NIGHT))
            await _waits_for_a_lock(real)
        (owned,) = await waking
    finally:
        await other.close()
    assert isinstance(owned, OwnedJob)
    assert (owned.owner, owned.job.token) == ("late", 1)
    assert (await real.row(one, ANALYZE)).asleep_since is None


async def _waits_for_a_lock(real: PostgresStores) -> None:
    async with asyncio.timeout(20):
        while not await real.admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            await asyncio.sleep(0.005)


async def test_everything_at_once_loses_nothing_and_deadlocks_nobody(
    real: PostgresStores, postgres_url: str
) -> None:
    people = await real.asleep(120)
    done: dict[tuple[UserId, int], int] = {}
    stop = asyncio.Event()

    async def work(number: int) -> None:
        connection = await asyncpg.connect(postgres_url)
        fences = PostgresFences(connection)
        dice = random.Random(number)
        try:
            while not stop.is_set():
                kind = dice.choice((ANALYZE, SCORE, MATCH))
                owner = WorkerId(f"w{number}")
                rows = await real.claim(kind, limit=dice.randint(1, 20), owner=owner)
                if not rows:
                    await asyncio.sleep(0)
                    continue
                users, tokens = [r.user_id for r in rows], [r.token for r in rows]
                match dice.randrange(5):
                    case 0:
                        nothing = [None] * len(rows)
                        await fences.checkpoint(users, kind, tokens, nothing, "woke")
                    case 1:
                        await fences.fail(users, kind, tokens, ["dice"] * len(rows))
                    case _:
                        due = [NEXT] * len(rows)
                        for user in await fences.complete(users, kind, tokens, due):
                            done[user, kind] = done.get((user, kind), 0) + 1
        finally:
            await connection.close()

    async def disturb(number: int) -> None:
        connection = await asyncpg.connect(postgres_url)
        fences = PostgresFences(connection)
        dice = random.Random(100 + number)
        at = NIGHT - timedelta(hours=2)
        try:
            while not stop.is_set():
                at += timedelta(seconds=1)
                some = dice.sample(people, 15)
                await real.wake(some, at)
                if dice.random() < 0.3:
                    await fences.mark_due(some, [BERLIN] * 15, ANALYZE, at)
                await real.sleep(some, at)
                await real.wait(30)
                await real.jobs.take_expired(limit=50)
        finally:
            await connection.close()

    tasks = [asyncio.create_task(work(n)) for n in range(4)]
    tasks += [asyncio.create_task(disturb(n)) for n in range(2)]
    await asyncio.wait(tasks, timeout=2, return_when=asyncio.FIRST_EXCEPTION)
    stop.set()
    await asyncio.gather(*tasks)
    assert done, "nothing was done at all"

    # Now without disturbance, to the end: the dead are brought back, the rest is due or done.
    await real.fences.mark_due(people, [BERLIN] * len(people), ANALYZE, NIGHT)
    for kind in (SCORE, MATCH):
        await real.fences.mark_due(people, [BERLIN] * len(people), kind, NIGHT)
    await real.sleep(people, NIGHT)
    later = NIGHT + timedelta(hours=2)
    for kind in (ANALYZE, SCORE, MATCH):
        finished: set[UserId] = set()
        for _ in range(4):
            await real.wait(7200)
            await real.jobs.take_expired(limit=1000)
            rows = await real.claim(kind, night=later, limit=1000)
            finished |= await real.complete(rows)
        assert finished == set(people), f"{kind.name}: jobs are lost"


async def test_a_claim_that_meets_a_row_just_being_completed_lets_it_wait_a_second(
    real: PostgresStores,
) -> None:
    (one,) = await real.asleep()
    (row,) = await real.claim(ANALYZE)
    await real.fences.mark_due([one], [BERLIN], SCORE, DUE)
    async with real.admin.transaction():
        done = "SELECT * FROM scheduler.complete($1, 1::smallint, $2, $3)"
        assert await real.admin.fetch(done, [one], [row.token], [NEXT])
        # The worker still writes its result, and what waits was brought back before that.
        assert not await real.claim(SCORE)
    assert (await real.row(one, SCORE)).state is JobState.WAITING
    await real.wait(1.0)
    await real.jobs.take_expired(limit=10)
    assert [row.user_id for row in await real.claim(SCORE)] == [one]


async def test_a_claim_that_meets_a_row_that_is_worked_on_sets_it_aside_for_long(
    real: PostgresStores,
) -> None:
    (one,) = await real.asleep()
    rows = await real.claim(ANALYZE, lease_seconds=60.0)
    assert not await real.claim(SCORE)
    await real.wait(30.0)
    await real.jobs.take_expired(limit=10)
    assert (await real.row(one, SCORE)).state is JobState.WAITING
    await real.complete(rows)
    assert [row.user_id for row in await real.claim(SCORE)] == [one]


async def test_a_claim_that_takes_long_lets_go_and_walks_alone_first(
    real: PostgresStores, postgres_url: str
) -> None:
    (one,) = await real.asleep()
    other = await asyncpg.connect(postgres_url)
    try:
        async with other.transaction():
            await other.execute("LOCK TABLE scheduler.jobs")
            claiming = asyncio.create_task(real.claim(ANALYZE))
            async with asyncio.timeout(20):
                while not await real.admin.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database() AND query = $1",
                    sql_claims.SWEEP,
                ):
                    await asyncio.sleep(0.005)
        assert [row.user_id for row in await claiming] == [one]
    finally:
        await other.close()


async def test_a_claim_that_the_server_forgot_has_given_out_no_fence_that_comes_again(
    real: PostgresStores,
) -> None:
    await real.asleep()
    claim = [ANALYZE, [BERLIN], NIGHT, 1, "forgotten", 30.0]
    tokens = set()
    for _ in range(3):
        transaction = real.admin.transaction()
        await transaction.start()
        row, _ = await real.admin.fetch(sql_claims.CLAIM, *claim)
        tokens.add(row["token"])
        await transaction.rollback()
    (kept,) = await real.claim(ANALYZE)
    assert len({*tokens, kept.token}) == 4


async def test_a_claim_is_not_waited_for_on_disk_and_all_else_is(real: PostgresStores) -> None:
    setting = "SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'"
    (claims,), (others,) = await real.claims.fetch(setting), await real.pool.fetch(setting)
    assert tuple(claims) == ("off", "client")
    assert others["source"] != "client", "as the server is set up"


async def test_renewing_moves_no_index_entry(real: PostgresStores) -> None:
    await real.asleep(50)
    rows = await real.claim(ANALYZE)
    arguments = [[row.user_id for row in rows], [1] * 50, [row.token for row in rows], 30.0]
    async with real.admin.transaction():
        assert len(await real.admin.fetch(sql_jobs.RENEW, *arguments)) == 50
        heap_only = await real.admin.fetchval(
            "SELECT pg_stat_get_xact_tuples_hot_updated('scheduler.jobs'::regclass)"
        )
    assert heap_only >= 40, "all but those whose page is full"


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("eros_accounts", "SELECT scheduler.complete('{}', 1::smallint, '{}', '{}')"),
        ("eros_accounts", "SELECT scheduler.checkpoint('{}', 1::smallint, '{}', '{}', '')"),
        ("eros_accounts", "SELECT scheduler.checkpoints('{}', 1::smallint, '{}')"),
        ("eros_accounts", "SELECT * FROM scheduler.jobs"),
        ("eros_accounts", "SELECT scheduler.requeue_waiting('{}')"),
        ("eros_matcher", "UPDATE scheduler.jobs SET token = 0"),
        ("eros_matcher", "SELECT * FROM scheduler.halts"),
        ("eros_scheduler", "UPDATE scheduler.halts SET killed = true"),
        ("eros_scheduler", "DELETE FROM scheduler.halts"),
    ],
)
async def test_nobody_reaches_further_than_what_was_published(
    real: PostgresStores, role: str, statement: str
) -> None:
    async with real.admin.transaction():
        await real.admin.execute(f"SET LOCAL ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with real.admin.transaction():
                await real.admin.execute(statement)


async def test_the_database_lets_no_person_have_two_jobs_at_a_time(real: PostgresStores) -> None:
    (one,) = await real.asleep()
    await real.claim(ANALYZE)
    assert (await real.row(one, ANALYZE)).state is JobState.LEASED
    with pytest.raises(asyncpg.UniqueViolationError):
        await real.admin.execute(
            "UPDATE scheduler.jobs SET state = 'l', lease_until = now() WHERE kind = 2"
        )


async def test_marking_a_person_due_waits_for_nothing_but_the_row_it_marks(
    real: PostgresStores, postgres_url: str
) -> None:
    (one,) = await real.asleep()
    other = await asyncpg.connect(postgres_url)
    try:
        async with other.transaction():
            await other.execute(
                "SELECT FROM scheduler.jobs WHERE user_id = $1 AND kind > 1 FOR UPDATE", one
            )
            marking = real.fences.mark_due([one], [BERLIN], ANALYZE, DUE - MINUTE)
            await asyncio.wait_for(marking, 20)
    finally:
        await other.close()
    assert (await real.row(one, ANALYZE)).due_at == DUE - MINUTE
