"""A worker frozen past its lease, its jobs finished by another, then thawed: what does it write?

Twenty times with real processes: PostgreSQL, Valkey, accounts, activity, a scheduler and two
workers as they ship, matching demo people. At a moment that a seed decides (just after a claim, in
the middle of the computing, with its results on their way to the server, while they are being
written) one worker, with its batch process but not its child, is stopped by SIGSTOP.
Its lease runs out, the scheduler gives its jobs to the other, which finishes them; then it goes on
where it was. What it held inside a transaction is let go by the server after 5 s
(`idle_in_transaction_session_timeout`); the bench ends that session itself once the lease is over,
so as not to wait.

The database is the judge. A trigger notes each list that is written with its transaction: a list
is stale unless the same transaction completed that person's job, under the fence of the newest
lease. And ten thousand small orders of the same on the workers' real core and the store in memory,
by a clock that is moved by hand.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

import asyncpg

from bench._machine import machine
from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock, Part
from eros_cli.mesh.processes import batch_processes
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_cli.simulation import fences

_T = TypeVar("_T")

_RUNS: Final = 20
_SCHEDULES: Final = 10_000
_PEOPLE: Final = 60
_LEASE_SECONDS: Final = 1.5
_LONGEST_RUN_SECONDS: Final = 30.0
_MOMENTS: Final = ("claimed", "computing", "sent", "writing")
_START: Final = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
_CITY: Final = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
_MATCH: Final = 3
_PARTS: Final = frozenset(
    {Part.POSTGRES, Part.VALKEY, Part.ACCOUNTS, Part.ACTIVITY, Part.SCHEDULER, Part.WORKER}
)
_SETTINGS: Final = {
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "0.5",
    "EROS_LEASE_SECONDS": str(_LEASE_SECONDS),
    "EROS_TICK_SECONDS": "0.5",
    # The fence alone: a worker that notices the silence drops its work before it has to be refused.
    "EROS_STREAM_SILENCE_SECONDS": "60",
    "EROS_CPU_CAP_PHASE1": "0.95",
    "EROS_CPU_CAP_PHASE2": "0.95",
    # So slow that a batch is in a worker's hands for a second or two.
    "EROS_CPU_CAP_PHASE3": "0.04",
    "EROS_BATCH_MATCH": "15",
    "EROS_LEARN_ASLEEP_SHARE": "1",
    "EROS_LEARN_TURN_SECONDS": "0.5",
    "EROS_LEARN_TURN_SHARE": "0.01",
}

_JUDGE: Final = """
CREATE SCHEMA bench;
CREATE TABLE bench.writes (user_id uuid NOT NULL, xid xid8 NOT NULL);
CREATE FUNCTION bench.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    -- What matching wrote; scoring fills the same table before.
    INSERT INTO bench.writes
        SELECT DISTINCT user_id, pg_current_xact_id() FROM written WHERE source = 2;
    -- As slow as a disk can be, so that there is a moment to be frozen in.
    PERFORM pg_sleep(0.03);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON matcher.recommendations REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION bench.note();
-- A slow way to the server: these results do not arrive until the bench lets them.
CREATE TABLE bench.slow (user_id uuid NOT NULL, token bigint NOT NULL);
ALTER FUNCTION scheduler.complete(uuid[], smallint, bigint[], timestamptz[]) RENAME TO arrived;
CREATE FUNCTION scheduler.complete(
    p_users uuid[], p_kind smallint, p_tokens bigint[], p_due_at timestamptz[]
) RETURNS TABLE (user_id uuid) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    WHILE EXISTS (
        SELECT FROM bench.slow s JOIN unnest(p_users, p_tokens) p(user_id, token)
            ON s.user_id = p.user_id AND s.token = p.token
    ) LOOP
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN QUERY SELECT a.user_id FROM scheduler.arrived(p_users, p_kind, p_tokens, p_due_at) a;
END $$;
"""
_SLOW = "INSERT INTO bench.slow SELECT * FROM unnest($1::uuid[], $2::bigint[])"
_ON_THE_WAY = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE '%worker%' AND wait_event = 'PgSleep' AND query LIKE '%complete%'
    AND xact_start < clock_timestamp() - interval '100 ms'
"""
_CALLS = """
SELECT calls - (SELECT count(*) FROM scheduler.audit WHERE event = 3)
FROM pg_stat_user_functions WHERE schemaname = 'scheduler' AND funcname = 'arrived'
"""
_DUE = "SELECT scheduler.mark_due($1::uuid[], 3::smallint, $2)"
_IDLE = "SELECT user_id FROM scheduler.jobs WHERE kind = 3 AND state = 'q' AND due_at > $1"
_HELD = """
SELECT user_id, token FROM scheduler.jobs
WHERE state = 'l' AND kind = 3 AND owner = $1
    AND leased_at <= clock_timestamp() - $2 * interval '1 second'
"""
_OWNERS = "SELECT DISTINCT owner FROM scheduler.jobs WHERE state = 'l' AND kind = 3"
_WRITING = """
SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%worker%' AND xact_start < $1
"""
_FINISHED = """
SELECT count(DISTINCT u.user_id) FROM scheduler.audit a
CROSS JOIN LATERAL unnest(a.users, a.tokens) u(user_id, token)
JOIN unnest($1::uuid[], $2::bigint[]) h(user_id, token) ON h.user_id = u.user_id
WHERE a.event = 3 AND a.kind = 3 AND u.token > h.token AND a.worker <> $3
"""
_DONE_BY = """
SELECT count(*) FROM scheduler.audit WHERE event = 3 AND kind = 3 AND worker = $1 AND at > $2
"""
_COMPLETED = """
WITH entries AS (
    SELECT a.at, a.event, a.worker, a.xmin, u.user_id, u.token
    FROM scheduler.audit a CROSS JOIN LATERAL unnest(a.users, a.tokens) u(user_id, token)
    WHERE a.kind = 3
), done AS (
    SELECT d.user_id, d.xmin, d.worker = l.worker AND NOT EXISTS (
        SELECT FROM entries n WHERE n.user_id = d.user_id AND n.event = 1
            AND n.token > d.token AND n.at < d.at
    ) AS live
    FROM entries d
    LEFT JOIN entries l ON l.user_id = d.user_id AND l.token = d.token AND l.event = 1
    WHERE d.event = 3
)
SELECT (SELECT count(*) FROM bench.writes) AS writes,
    (SELECT count(*) FROM done) AS done,
    (SELECT count(*) FROM bench.writes w WHERE NOT EXISTS (
        SELECT FROM done d WHERE d.user_id = w.user_id AND d.xmin = w.xid::xid AND d.live
    )) + (SELECT count(*) FROM done WHERE live IS NOT TRUE)
    + (SELECT count(*) FROM (
        SELECT FROM entries WHERE event = 3 GROUP BY user_id, token HAVING count(*) > 1
    ) twice) AS stale
"""


@dataclass(frozen=True, slots=True)
class _Run:
    moment: str
    held: int
    """Jobs in the frozen worker's hands."""
    seconds: float


def _signal(pid: int, number: signal.Signals) -> None:
    """To a worker and its batch process. The child computes on, so that there are results to be
    refused when they thaw."""
    for each in (pid, *batch_processes(pid)):
        os.kill(each, number)


def run() -> dict[str, Any]:
    """`stale_writes` and `schedules_stale` are to be 0. `held` is how many jobs were reassigned,
    `refused` how many batches of results arrived under a fence that was no longer theirs.
    """
    seed = int(os.environ.get("EROS_BENCH_SEED", "1"))
    runs = int(os.environ.get("EROS_BENCH_RUNS", str(_RUNS)))
    schedules = int(os.environ.get("EROS_BENCH_SCHEDULES", str(_SCHEDULES)))
    began = time.monotonic()
    simulated = fences.run(schedules, seed)
    simulated_seconds = time.monotonic() - began
    result = asyncio.run(_measure(seed, runs))
    return {
        **result,
        "schedules": simulated.schedules,
        "schedules_stale": simulated.stale,
        "schedules_refused": simulated.refused,
        "schedules_unfinished": simulated.unfinished,
        "schedules_seconds": round(simulated_seconds, 1),
        "seed": seed,
        **machine("grpcio", "asyncpg"),
    }


async def _measure(seed: int, runs: int) -> dict[str, Any]:
    environment = clean_environment()
    t0 = datetime.now(UTC)
    options = MeshOptions(
        parts=_PARTS,
        workers=2,
        environment=environment,
        settings=_SETTINGS,
        night=NightClock(_START, t0),
    )
    async with Mesh(options) as mesh:
        async with open_operator(mesh.environment()) as operator:
            loaded = await load_people(operator.accounts, "bench", map(_person, range(_PEOPLE)))
            slept = dict.fromkeys(loaded.zones, _START - timedelta(hours=5))
            await touch(operator.activity, slept)
        pool = asyncpg.create_pool(mesh.environment()["DATABASE_URL"], min_size=2, max_size=4)
        async with pool as database:
            await database.execute("ALTER SYSTEM SET track_functions = 'pl'")
            await database.execute("SELECT pg_reload_conf()")
            await database.execute(_JUDGE)
            night = _Night(mesh, database, sorted(loaded.zones), t0)
            frozen = await night.name_of_second()
            random = Random(f"fences/{seed}")
            rows = [
                await night.freeze(frozen, _MOMENTS[number % len(_MOMENTS)], random)
                for number in range(runs)
            ]
            await night.until_working(frozen)
            verdict = await database.fetchrow(_COMPLETED)
            calls = await database.fetchval(_CALLS)
    assert verdict is not None
    moments = Counter(row.moment for row in rows)
    return {
        "runs": len(rows),
        "stale_writes": verdict["stale"],
        "held": sum(row.held for row in rows),
        "refused": calls,
        "lists_written": verdict["writes"],
        "jobs_done": verdict["done"],
        "run_max_seconds": round(max(row.seconds for row in rows), 1),
        "rows": [
            {
                "frozen while": moment,
                "runs": moments[moment],
                "jobs held": sum(row.held for row in rows if row.moment == moment),
            }
            for moment in _MOMENTS
        ],
    }


def _person(index: int) -> accounts_pb2.ImportedAccount:
    profile = demo.profile(Random(f"bench/{index}"), _CITY)
    return accounts_pb2.ImportedAccount(external_id=str(index), profile=profile)


async def _until(look: Callable[[], Awaitable[_T]]) -> _T:
    """What it finds, once it finds anything."""
    while True:
        if found := await look():
            return found
        await asyncio.sleep(0.005)


class _Night:
    """Everybody's match is made due as often as there is nothing else to do."""

    def __init__(
        self, mesh: Mesh, database: asyncpg.Pool, people: Sequence[Any], t0: datetime
    ) -> None:
        self._mesh = mesh
        self._database = database
        self._people = people
        self._t0 = t0

    async def name_of_second(self) -> str:
        """What the scheduler calls worker-2, which is alone for a while."""
        await self._mesh.stop("worker-1")
        async with asyncio.timeout(_LONGEST_RUN_SECONDS), self._work():
            while True:
                owners = await self._database.fetch(_OWNERS)
                if len(owners) == 1 and await self._held(owners[0]["owner"], 0.0):
                    break
                await asyncio.sleep(0.01)
        await self._mesh.start("worker-1")
        return str(owners[0]["owner"])

    async def freeze(self, worker: str, moment: str, random: Random) -> _Run:
        """One run; raises TimeoutError where nobody took over what the frozen one held."""
        began = time.monotonic()
        pid = self._mesh.pid("worker-2")
        async with asyncio.timeout(_LONGEST_RUN_SECONDS):
            async with self._work():
                held = await _until(lambda: self._caught(pid, worker, moment, random))
            try:
                stopped = datetime.now(UTC)
                users, tokens = list(held), list(held.values())
                await asyncio.sleep(_LEASE_SECONDS)
                while await self._database.fetchval(_FINISHED, users, tokens, worker) < len(held):
                    if moment == "writing":
                        await self._end_sessions(stopped)
                    await asyncio.sleep(0.05)
                await self._database.execute("DELETE FROM bench.slow")
            finally:
                _signal(pid, signal.SIGCONT)
        return _Run(moment, len(held), time.monotonic() - began)

    async def _end_sessions(self, stopped: datetime) -> None:
        """Those that were open when the worker stopped, and are still."""
        for row in await self._database.fetch(_WRITING, stopped):
            await self._database.execute("SELECT pg_terminate_backend($1)", row["pid"])

    async def until_working(self, worker: str) -> None:
        """Until the thawed one has finished something new; what it had to say before is said."""
        since = datetime.now(UTC)
        async with asyncio.timeout(_LONGEST_RUN_SECONDS), self._work():
            await _until(lambda: self._database.fetchval(_DONE_BY, worker, since))

    async def _caught(self, pid: int, worker: str, moment: str, random: Random) -> dict[Any, int]:
        """The jobs in its hands, stopped at that moment; none, and it runs, where it was missed."""
        if moment == "writing":
            if not await self._database.fetch(_WRITING, datetime.now(UTC)):
                return {}
        else:
            least = random.uniform(0.1, 0.8) if moment == "computing" else 0.0
            if not (held := await self._held(worker, least)):
                return {}
            if moment == "sent":
                await self._database.execute(_SLOW, list(held), list(held.values()))
                await _until(lambda: self._database.fetchval(_ON_THE_WAY))
        _signal(pid, signal.SIGSTOP)
        stopped = datetime.now(UTC)
        # What was on its way to the server when it stopped has arrived by then.
        await asyncio.sleep(0.1)
        writing = bool(await self._database.fetch(_WRITING, stopped))
        held = await self._held(worker, 0.0)
        if held and writing == (moment in ("sent", "writing")):
            return held
        await self._database.execute("DELETE FROM bench.slow")
        _signal(pid, signal.SIGCONT)
        return {}

    async def _held(self, worker: str, least_seconds: float) -> dict[Any, int]:
        rows = await self._database.fetch(_HELD, worker, least_seconds)
        return {row["user_id"]: row["token"] for row in rows}

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[None]:
        """There is always something to be matched."""

        async def mark() -> None:
            while True:
                night = _START + (datetime.now(UTC) - self._t0)
                idle = await self._database.fetch(_IDLE, night)
                if len(idle) > _PEOPLE // 2:
                    await self._database.execute(_DUE, [row["user_id"] for row in idle], night)
                await asyncio.sleep(0.2)

        marking = asyncio.create_task(mark())
        try:
            yield
        finally:
            marking.cancel()
            await asyncio.gather(marking, return_exceptions=True)
