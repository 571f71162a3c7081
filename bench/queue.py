"""Job rows at full size: claim and fenced completion, and claims that find nothing.

A real PostgreSQL, durable as in production, with four job rows a person, one of which is ripe: the
first of one person in three, the second of another, the third of the last; the fourth becomes due
when the third is done. As many clients as there
are cores do what the scheduler and its workers do: claim a batch by the scheduler's own store, then
hold and complete it in one transaction. Afterwards everything is done for tonight, everybody still
sleeps, and claims look for what is not there: before any vacuum, which is the worst moment, and
after it. Then pgqueuer does the same on the same server, as it comes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from uuid import uuid4

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries

from bench._machine import machine, percentile
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_common import postgres
from eros_common.ids import WorkerId
from eros_common.phases import IdleThresholds
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import JobKind, Zone
from eros_scheduler.store_postgres import PostgresJobs

_KINDS = (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH)
_BATCH = 100
_ZONES = tuple(Zone(f"Zone/{number}") for number in range(40))
_EVENING = datetime(2026, 1, 1, 23, tzinfo=UTC)
_NIGHT = datetime(2026, 1, 2, 5, 30, tzinfo=UTC)
_TOMORROW = datetime(2026, 1, 2, 23, tzinfo=UTC)
_EMPTY_CLAIMS = 20
_SERVERS = ("DATABASE_URL", "REDIS_URL", "ACTIVITY_REDIS_URL", "CACHE_REDIS_URL")

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

_HOLD = "SELECT * FROM scheduler.hold($1, $2, $3)"
_COMPLETE = "SELECT * FROM scheduler.complete($1, $2, $3, $4)"
_FINISH = "UPDATE scheduler.jobs SET due_at = $1 WHERE due_at < $1"


@dataclass(frozen=True, slots=True)
class _Rate:
    jobs: int
    seconds: float
    claim_ms: list[float]


def run() -> dict[str, Any]:
    """Jobs claimed and completed a second, ours and pgqueuer's; how long an empty claim takes."""
    people = int(os.environ.get("EROS_BENCH_PEOPLE", "1000000"))
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", "12"))
    return asyncio.run(_run(people, seconds))


async def _run(people: int, seconds: float) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name not in _SERVERS}
    options = MeshOptions(parts=frozenset({Part.POSTGRES}), environment=environment)
    async with Mesh(options) as mesh, AsyncExitStack() as stack:
        url = mesh.environment()["DATABASE_URL"]
        clients = len(os.sched_getaffinity(0))
        scheduler = await stack.enter_async_context(
            postgres.open_pool(
                url, role="eros_scheduler", app="bench", size=clients, leaves_nothing=True
            )
        )
        matcher = await stack.enter_async_context(
            postgres.open_pool(
                url, role="eros_matcher", app="bench", size=clients, leaves_nothing=True
            )
        )
        admin = await asyncpg.connect(url)
        stack.push_async_callback(admin.close)
        await _fill(admin, people)
        jobs = PostgresJobs(scheduler, IdleThresholds())
        rate = await _claim_and_complete(jobs, matcher, clients, seconds)
        await admin.execute(_FINISH, _TOMORROW, timeout=600)
        dirty = await _claim_nothing(jobs)
        await admin.execute("VACUUM scheduler.jobs", timeout=600)
        clean = await _claim_nothing(jobs)
        server = await admin.fetchval("SHOW server_version")
        theirs = await _pgqueuer(url, clients, people, seconds)
    about = machine("asyncpg", "pgqueuer")
    return {
        "jobs_per_s": round(rate.jobs / rate.seconds),
        "pgqueuer_jobs_per_s": round(theirs.jobs / theirs.seconds),
        "empty_claim_ms": round(median(dirty), 3),
        "people": people,
        "rows_in_table": people * 4,
        "batch": _BATCH,
        "clients": clients,
        "rows": [
            {"case": "claims with work", "claims": len(rate.claim_ms), **_spread(rate.claim_ms)},
            {"case": "pgqueuer", "claims": len(theirs.claim_ms), **_spread(theirs.claim_ms)},
            {"case": "nothing left, no vacuum yet", "claims": len(dirty), **_spread(dirty)},
            {"case": "nothing left", "claims": len(clean), **_spread(clean)},
        ],
        "machine": about["machine"],
        "versions": f"{about['versions']}, PostgreSQL {server}",
    }


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


async def _claim_and_complete(
    jobs: PostgresJobs, matcher: asyncpg.Pool, clients: int, seconds: float
) -> _Rate:
    claim_ms: list[float] = []
    begun = time.monotonic()

    async def client(number: int) -> int:
        done, turn = 0, number
        worker = WorkerId(f"bench-{number}")
        while time.monotonic() - begun < seconds:
            turn += 1
            kind = _KINDS[turn % len(_KINDS)]
            asked = time.monotonic()
            found = await jobs.claim(
                Attempt(kind, _ZONES, _BATCH), owner=worker, night=_NIGHT, lease_seconds=30
            )
            claim_ms.append((time.monotonic() - asked) * 1000)
            users = [row.user_id for row in found.rows]
            tokens = [row.token for row in found.rows]
            done += await _complete(matcher, kind, users, tokens)
        return done

    done = await asyncio.gather(*(client(number) for number in range(clients)))
    return _Rate(sum(done), time.monotonic() - begun, claim_ms)


async def _complete(
    matcher: asyncpg.Pool, kind: JobKind, users: Sequence[Any], tokens: Sequence[int]
) -> int:
    async with matcher.acquire() as connection, connection.transaction():
        done = await connection.fetch(
            "SELECT * FROM scheduler.complete($1, $2, $3, $4)",
            users,
            kind,
            tokens,
            [_TOMORROW] * len(users),
        )
    return len(done)


_FILL_PGQUEUER = """
INSERT INTO pgqueuer (priority, status, entrypoint)
SELECT 0, 'queued', 'entry' || 1 + n % 3 FROM generate_series(1, $1) n
"""


async def _pgqueuer(url: str, clients: int, people: int, seconds: float) -> _Rate:
    """The same with pgqueuer as it comes: as many jobs that are ripe, on the same server, as many
    clients; each dequeues a batch and logs it as successful."""
    admin = await asyncpg.connect(url)
    try:
        async with asyncpg.create_pool(url, min_size=clients, max_size=clients) as pool:
            queries = Queries(AsyncpgPoolDriver(pool))
            await queries.install()
            await admin.execute(_FILL_PGQUEUER, people, timeout=600)
            await admin.execute("VACUUM (ANALYZE) pgqueuer", timeout=600)
            return await _dequeue_and_log(queries, clients, seconds)
    finally:
        await admin.close()


async def _dequeue_and_log(queries: Queries, clients: int, seconds: float) -> _Rate:
    claim_ms: list[float] = []
    begun = time.monotonic()

    async def client(number: int) -> int:
        done, turn = 0, number
        manager = QueueManagerId(uuid4())
        while time.monotonic() - begun < seconds:
            turn += 1
            entry = QueueEntrypoint(f"entry{1 + turn % 3}")
            asked = time.monotonic()
            jobs = await queries.dequeue(
                _BATCH,
                {entry: EntrypointExecutionParameter(concurrency_limit=0)},
                manager,
                None,
                timedelta(seconds=30),
            )
            claim_ms.append((time.monotonic() - asked) * 1000)
            await queries.log_jobs([(job, "successful", None) for job in jobs])
            done += len(jobs)
        return done

    done = await asyncio.gather(*(client(number) for number in range(clients)))
    return _Rate(sum(done), time.monotonic() - begun, claim_ms)


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
