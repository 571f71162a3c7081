"""Job rows at full size: claim and fenced completion, and claims that find nothing.

A real PostgreSQL, durable and set as in production (`k8s/examples/postgres.yaml`: its memory holds
the rows), with four job rows a person, one of which is ripe: the first of one person in three, the
second of another, the third of the last; the fourth becomes due when the third is done. As many
clients as there are cores do what the scheduler and its workers do: claim a batch by the
scheduler's own store, then complete it under its fences in a transaction. Completions are waited
for until they are on disk; claims are not, as in production (ADR 0303).

In turns with them, on the same server, pgqueuer does its share as it comes, durable, with the
vacuum settings that it recommends: dequeue a batch, log it as successful. All of its rows are due.
Completing a job of ours also puts it back for the next night; a second row has pgqueuer do that too
(enqueue it again). A third has it hold as many jobs as our table does, a third of them due, in no
order, as ours are: what is not due yet lies in the way of its claims, which take the oldest first.

Then almost everything is done for tonight, and everybody still sleeps. Claims look for what is not
there: when all of it changed at once (what is dead is walked over once, without locks), after a
vacuum, and after the last jobs were claimed and done one batch after the other.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
import yaml
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

from bench._machine import machine, percentile
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.paths import CHECKOUT
from eros_common import postgres
from eros_common.ids import WorkerId
from eros_common.phases import IdleThresholds
from eros_matcher.worker.child import process_cpu_seconds
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import JobKind, Zone
from eros_scheduler.store_postgres import PostgresJobs
from eros_scheduler.store_postgres_claims import claims_pool

_EXAMPLE = CHECKOUT / "k8s" / "examples" / "postgres.yaml"
_KINDS = (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH)
_BATCH = 100
_ZONES = tuple(Zone(f"Zone/{number}") for number in range(40))
_EVENING = datetime(2026, 1, 1, 23, tzinfo=UTC)
_NIGHT = datetime(2026, 1, 2, 5, 30, tzinfo=UTC)
_TOMORROW = datetime(2026, 1, 2, 23, tzinfo=UTC)
_EMPTY_CLAIMS = 20
_ROUNDS = 3
_LAST_JOBS = 30_000
_LONGEST_SECONDS = 20.0

_FILL = """
INSERT INTO scheduler.jobs (
    user_id, kind, due_at, asleep_since, rested_at, seen_at, solo_at, zone
)
SELECT p.user_id, k.kind,
    CASE WHEN k.kind = p.ripe THEN $4 WHEN k.kind = 4 THEN 'infinity' ELSE $5 END,
    p.since, p.since + ($2::interval[])[k.kind], p.since, $3::timestamptz + interval '12 hours',
    p.zone
FROM (
    SELECT gen_random_uuid() AS user_id, 1 + n % 3 AS ripe,
        $4::timestamptz - random() * interval '2 hours' AS since,
        ($6::text[])[1 + n % cardinality($6::text[])] AS zone
    FROM generate_series(1, $1) n
) p CROSS JOIN generate_series(1, 4) k(kind)
"""

_COMPLETE = "SELECT * FROM scheduler.complete($1, $2, $3, $4)"
_FINISH = "UPDATE scheduler.jobs SET due_at = $1 WHERE due_at < $1"
_LAST = """
UPDATE scheduler.jobs j SET due_at = $1
FROM (
    SELECT user_id, kind FROM scheduler.jobs
    WHERE kind = 1 + abs(hashtext(user_id::text)) % 3 AND state = 'q' LIMIT $2
) l
WHERE j.user_id = l.user_id AND j.kind = l.kind
"""
_FILL_PGQUEUER = """
INSERT INTO {table} (priority, status, entrypoint, execute_after)
SELECT 0, 'queued', 'entry' || 1 + n % 3,
    now() + CASE WHEN hashint4(n) % {one_in} = 0 THEN interval '0' ELSE interval '18 hours' END
FROM generate_series(1, $1) n
"""


@dataclass(slots=True)
class _Rates:
    """Of one contestant, over all its turns."""

    per_s: list[float] = field(default_factory=list)
    claim_ms: list[float] = field(default_factory=list)
    jobs: int = 0
    cpu: float = 0.0

    def row(self, case: str) -> dict[str, Any]:
        return {
            "case": case,
            "jobs_per_s": round(median(self.per_s)),
            "cpu_us_per_job": round(self.cpu / max(self.jobs, 1) * 1e6, 1),
            "claims": len(self.claim_ms),
            **_spread(self.claim_ms),
        }


Turn = Callable[[int, int], Awaitable[tuple[float, int]]]
"""One batch of client n in its turn m: milliseconds of the claim, how many jobs were done."""


def run() -> dict[str, Any]:
    """Jobs claimed and completed a second, ours and pgqueuer's; how long an empty claim takes.

    `pgqueuer_again_jobs_per_s`: where it enqueues each job for the next night, as completing ours
    does. `pgqueuer_not_due_jobs_per_s`: where its table holds what is not due, as ours does; falls
    with every turn. `empty_claim_first_ms`: the slowest of the first claims after everything
    changed at once.
    """
    people = int(os.environ.get("EROS_BENCH_PEOPLE", "1000000"))
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", "12"))
    return asyncio.run(_run(people, seconds))


async def _run(people: int, seconds: float) -> dict[str, Any]:
    environment = clean_environment()
    options = MeshOptions(
        parts=frozenset({Part.POSTGRES}), environment=environment, postgres=_production()
    )
    clients = len(os.sched_getaffinity(0))
    async with Mesh(options) as mesh, AsyncExitStack() as stack:
        url = mesh.environment()["DATABASE_URL"]

        async def pool(role: str) -> asyncpg.Pool:
            opening = postgres.open_pool(
                url, role=role, app="bench", size=clients, leaves_nothing=True
            )
            return await stack.enter_async_context(opening)

        claims = await stack.enter_async_context(claims_pool(url, app="claims", size=clients))
        jobs = PostgresJobs(await pool("eros_scheduler"), claims, IdleThresholds())
        theirs = AsyncpgPoolDriver(
            await stack.enter_async_context(
                asyncpg.create_pool(url, min_size=clients, max_size=clients)
            )
        )
        admin = await asyncpg.connect(url)
        stack.push_async_callback(admin.close)
        await _fill(admin, people)
        due = await _filled_pgqueuer(admin, theirs, "", people, one_in=1)
        whole = await _filled_pgqueuer(admin, theirs, "whole_", people * 3, one_in=3)

        turns: dict[str, Turn] = {
            "ours": _ours(jobs, await pool("eros_matcher")),
            "pgqueuer": _pgqueuer(due, again=False),
            "pgqueuer, enqueued again": _pgqueuer(due, again=True),
            "pgqueuer, a third due": _pgqueuer(whole, again=False),
        }
        rates = {name: _Rates() for name in turns}
        for _ in range(_ROUNDS):
            for name, turn in turns.items():
                await _take_turns(
                    turn, rates[name], clients, seconds / _ROUNDS, mesh.pid("postgres")
                )

        await admin.execute(_FINISH, _TOMORROW, timeout=600)
        dirty = await _claim_nothing(jobs)
        await admin.execute("VACUUM scheduler.jobs", timeout=600)
        clean = await _claim_nothing(jobs)
        await admin.execute(_LAST, _NIGHT, min(_LAST_JOBS, people), timeout=600)
        last = _Rates()
        await _take_turns(turns["ours"], last, clients, _LONGEST_SECONDS, mesh.pid("postgres"))
        drained = await _claim_nothing(jobs)
        server = await admin.fetchval("SHOW server_version")
    about = machine("asyncpg", "pgqueuer")
    ours, plain, again, not_due = (median(rates[name].per_s) for name in turns)
    return {
        "jobs_per_s": round(ours),
        "pgqueuer_jobs_per_s": round(plain),
        "pgqueuer_again_jobs_per_s": round(again),
        "pgqueuer_not_due_jobs_per_s": round(not_due),
        "ratio": round(ours / max(plain, 1), 2),
        "ratio_again": round(ours / max(again, 1), 2),
        "ratio_not_due": round(ours / max(not_due, 1), 2),
        "empty_claim_ms": round(median(drained), 3),
        "empty_claim_max_ms": round(max(drained), 3),
        "empty_claim_first_ms": round(max(dirty), 3),
        "people": people,
        "rows_in_table": people * 4,
        "batch": _BATCH,
        "clients": clients,
        "rows": [
            *(rate.row(name) for name, rate in rates.items()),
            last.row(f"ours, the last {last.jobs}"),
            {"case": "nothing left", "claims": len(drained), **_spread(drained)},
            {"case": "all changed at once, no vacuum", "claims": len(dirty), **_spread(dirty)},
            {"case": "vacuumed", "claims": len(clean), **_spread(clean)},
        ],
        "machine": about["machine"],
        "versions": f"{about['versions']}, PostgreSQL {server}",
    }


def _production() -> dict[str, str]:
    """PostgreSQL's settings in the example for a cluster."""
    cluster = next(yaml.safe_load_all(_EXAMPLE.read_text()))
    return dict(cluster["spec"]["postgresql"]["parameters"])


def _spread(milliseconds: list[float]) -> dict[str, float]:
    return {
        "p50_ms": round(median(milliseconds), 3),
        "p99_ms": round(percentile(milliseconds, 0.99), 3),
        "max_ms": round(max(milliseconds), 3),
    }


async def _fill(admin: asyncpg.Connection, people: int) -> None:
    await admin.executemany("INSERT INTO scheduler.zones VALUES ($1)", [(z,) for z in _ZONES])
    idle = [timedelta(minutes=minutes) for minutes in (10, 30, 60, 60)]
    await admin.execute(_FILL, people, idle, _NIGHT, _EVENING, _TOMORROW, _ZONES, timeout=900)
    await admin.execute("VACUUM (ANALYZE) scheduler.jobs", timeout=600)


async def _filled_pgqueuer(
    admin: asyncpg.Connection, driver: AsyncpgPoolDriver, prefix: str, jobs: int, *, one_in: int
) -> Queries:
    """One installation, whose names begin so; of so many jobs one in that many is due."""
    settings = DBSettings(prefix=prefix)
    queries = Queries(
        driver,
        QueryBuilderEnvironment(settings),
        QueryQueueBuilder(settings),
        QuerySchedulerBuilder(settings),
    )
    await queries.install()
    await queries.optimize_autovacuum()
    table = settings.queue_table
    await admin.execute(_FILL_PGQUEUER.format(table=table, one_in=one_in), jobs, timeout=600)
    await admin.execute(f"VACUUM (ANALYZE) {table}", timeout=600)
    return queries


async def _take_turns(turn: Turn, rates: _Rates, clients: int, seconds: float, server: int) -> None:
    """All clients at once, for so long or until they find nothing."""
    before = _cpu_seconds(server)
    begun = time.monotonic()

    async def client(number: int) -> int:
        done, empty, round_ = 0, 0, number
        while time.monotonic() - begun < seconds and empty < len(_KINDS):
            round_ += 1
            taken, count = await turn(number, round_)
            rates.claim_ms.append(taken)
            done += count
            empty = 0 if count else empty + 1
        return done

    done = sum(await asyncio.gather(*(client(number) for number in range(clients))))
    rates.per_s.append(done / (time.monotonic() - begun))
    rates.jobs += done
    rates.cpu += _cpu_seconds(server) - before


def _cpu_seconds(server: int) -> float:
    """CPU of this process, of the server and of its children that run."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return time.process_time() + sum(map(process_cpu_seconds, [server, *map(int, children)]))


def _ours(jobs: PostgresJobs, matcher: asyncpg.Pool) -> Turn:
    async def turn(client: int, number: int) -> tuple[float, int]:
        kind = _KINDS[number % len(_KINDS)]
        asked = time.monotonic()
        found = await jobs.claim(
            Attempt(kind, _ZONES, _BATCH),
            owner=WorkerId(f"bench-{client}"),
            night=_NIGHT,
            lease_seconds=30,
        )
        taken = (time.monotonic() - asked) * 1000
        if not found.rows:
            return taken, 0
        async with matcher.acquire() as connection, connection.transaction():
            done = await connection.fetch(
                _COMPLETE,
                [row.user_id for row in found.rows],
                kind,
                [row.token for row in found.rows],
                [_TOMORROW] * len(found.rows),
            )
        return taken, len(done)

    return turn


def _pgqueuer(queries: Queries, *, again: bool) -> Turn:
    """Dequeue, log as successful; and enqueue for the next night, if so."""
    managers: dict[int, QueueManagerId] = defaultdict(lambda: QueueManagerId(uuid4()))
    unlimited = EntrypointExecutionParameter(concurrency_limit=0)

    async def turn(client: int, number: int) -> tuple[float, int]:
        entry = QueueEntrypoint(f"entry{1 + number % 3}")
        asked = time.monotonic()
        jobs = await queries.dequeue(
            _BATCH, {entry: unlimited}, managers[client], None, timedelta(seconds=30)
        )
        taken = (time.monotonic() - asked) * 1000
        count = len(jobs)
        await queries.log_jobs([(job, "successful", None) for job in jobs])
        if again and jobs:
            night: list[timedelta | None] = [timedelta(hours=18)] * count
            await queries.enqueue([entry] * count, [None] * count, [0] * count, night)
        return taken, count

    return turn


async def _claim_nothing(jobs: PostgresJobs) -> list[float]:
    taken: list[float] = []
    for _ in range(_EMPTY_CLAIMS):
        for kind in _KINDS:
            asked = time.monotonic()
            found = await jobs.claim(
                Attempt(kind, _ZONES, _BATCH),
                owner=WorkerId("bench"),
                night=_NIGHT,
                lease_seconds=30,
            )
            taken.append((time.monotonic() - asked) * 1000)
            if found.rows:
                raise AssertionError(f"{len(found.rows)} rows were left")
    return taken
