"""An accelerated night in which everything is killed, and what is left of it in the morning.

Two schedulers with two workers each, on PostgreSQL, Valkey and activity as they ship. At moments
that a seed decides, one of the schedulers, workers, Valkey or PostgreSQL is killed with SIGKILL,
while people who are worked on touch their phones. In the end every job must have been done once:
the audit, which is written by the transactions that complete jobs, says how often each was. Halts
count when nothing was down between the touch and the end, nor shortly before.

At one moment more a scheduler is frozen, when workers of its have something in hand: they hear
nothing from then on, and have to halt themselves.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final

import asyncpg
import grpc.aio

from bench._machine import machine
from eros.accounts.v1 import accounts_pb2
from eros.activity.v1 import activity_pb2
from eros.scheduler.v1 import scheduler_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.events import silent
from eros_cli.mesh.keeper import Keeper, start_all, stop_all
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock, Part
from eros_cli.mesh.ports import LOOPBACK, Ports
from eros_cli.mesh.program import Program
from eros_cli.mesh.readiness import until_serving
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City

_PEOPLE: Final = 400
_SECONDS: Final = 45.0
_LONGEST_SECONDS: Final = 75.0
_KILL_EVERY: Final = (2.0, 5.0)
_TOUCH_EVERY: Final = (0.1, 0.4)
_AFTER_SECONDS: Final = 8.0
"""So long after a kill, halts do not count: what was killed starts again."""
_BOUND_MS: Final = 500.0
_FREEZE_WITHIN_SECONDS: Final = 20.0
_FROZEN_SECONDS: Final = 3.2
"""Two seconds of silence, the bound of a halt, and what a busy machine takes to look."""
_KINDS: Final = 4
_CITY: Final = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
_START: Final = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
_PARTS: Final = frozenset(
    {Part.POSTGRES, Part.VALKEY, Part.ACCOUNTS, Part.ACTIVITY, Part.SCHEDULER, Part.WORKER}
)
_SETTINGS: Final = {
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "0.5",
    "EROS_LEASE_SECONDS": "5",
    "EROS_TICK_SECONDS": "1",
    # Small batches, so that there is something to be killed all the time.
    "EROS_BATCH_ANALYZE": "10",
    "EROS_BATCH_SCORE": "10",
    "EROS_BATCH_MATCH": "10",
    "EROS_BATCH_PREPARE": "10",
}
_RATE: Final = 480.0

_LEASED = "SELECT user_id FROM scheduler.jobs WHERE state = 'l' AND kind < 5"
_DONE = """
SELECT u.user_id, a.kind, count(*) AS times
FROM scheduler.audit a CROSS JOIN LATERAL unnest(a.users) u(user_id)
WHERE a.event = 3 AND a.kind = ANY ($1::smallint[]) GROUP BY 1, 2
"""
_HELD = "SELECT DISTINCT owner FROM scheduler.jobs WHERE state = 'l'"
_STILL_HELD = "SELECT count(*) AS jobs FROM scheduler.jobs WHERE state = 'l' AND owner = ANY ($1)"
_SILENT = """
SELECT coalesce(sum(cardinality(users)), 0)::int AS jobs FROM scheduler.audit
WHERE event = 2 AND why = 'silence' AND worker = ANY ($1) AND at >= $2
"""
_LIFE = """
SELECT coalesce(sum(cardinality(users)) FILTER (WHERE event = 5), 0)::int AS taken_over,
    coalesce(sum(cardinality(users)) FILTER (WHERE event = 2), 0)::int AS given_back,
    extract(epoch FROM max(at) FILTER (WHERE event = 3))::float8 AS last_done
FROM scheduler.audit
"""
_HALTS = """
SELECT extract(epoch FROM touched_at)::float8 AS touched,
    extract(epoch FROM durable_at)::float8 AS durable,
    extract(epoch FROM left_at)::float8 AS out
FROM scheduler.halts WHERE reason = 1 AND touched_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class _Kill:
    at: float
    name: str


def run() -> dict[str, Any]:
    """`lost` and `twice` are jobs, `over_bound` halts; all three are to be 0. So is `not_halted`,
    the jobs that workers still held when their scheduler had been frozen for three seconds;
    `halted_themselves` counts the others.

    `kills_at_work` are those before the last job was done, `taken_over` leases that ran out,
    `given_back` those that were halted.
    """
    seed = int(os.environ.get("EROS_BENCH_SEED", "1"))
    people = int(os.environ.get("EROS_BENCH_PEOPLE", str(_PEOPLE)))
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", str(_SECONDS)))
    return asyncio.run(night(seed, people, seconds))


async def night(seed: int, people: int, seconds: float, *, durable: bool = True) -> dict[str, Any]:
    """See `run`. A server that is killed loses nothing that the kernel has, `durable` or not."""
    environment = clean_environment()
    options = MeshOptions(
        parts=_PARTS,
        workers=2,
        environment=environment,
        settings=_SETTINGS,
        night=NightClock(_START, datetime.now(UTC)),
        durable=durable,
    )
    async with Mesh(options) as mesh, AsyncExitStack() as stack:
        async with open_operator(mesh.environment()) as operator:
            loaded = await load_people(operator.accounts, "bench", map(_person, range(people)))
            asleep = dict.fromkeys(loaded.zones, _START - timedelta(hours=5))
            await touch(operator.activity, asleep)
        await mesh.reconfigure(night=NightClock(_START, datetime.now(UTC), _RATE))
        others = _second_half(mesh)
        await start_all(others)
        stack.push_async_callback(stop_all, others)
        victims: dict[str, Callable[[], Any]] = {
            name: partial(mesh.kill, name)
            for name in ("scheduler", "worker-1", "worker-2", "valkey", "postgres")
        } | {keeper.name: keeper.kill for keeper in others}
        kinds = _announced()
        url = mesh.environment()["DATABASE_URL"]

        kills: list[_Kill] = []
        touching = asyncio.create_task(_touch(mesh, url, Random(f"touch/{seed}")))
        began = time.monotonic()
        frozen = await _freeze(mesh, url, kills)
        await _kill(victims, Random(f"kill/{seed}"), began + seconds, kills)
        touching.cancel()
        with suppress(asyncio.CancelledError):
            await touching
        times = await _until_done(url, people, kinds, time.monotonic() + _LONGEST_SECONDS)
        took = time.monotonic() - began
        halts = await _halts(url, kills)
        (life,) = await _fetch(url, _LIFE)
    wanted = people * len(kinds)
    return {
        "jobs": wanted,
        "lost": wanted - len(times),
        "twice": sum(count > 1 for count in times.values()),
        "kills": len(kills),
        "kills_at_work": sum(kill.at < life["last_done"] for kill in kills),
        "taken_over": life["taken_over"],
        "given_back": life["given_back"],
        **halts,
        **frozen,
        "seconds": round(took, 1),
        "seed": seed,
        "rows": [
            {"killed": name, "times": count}
            for name, count in sorted(Counter(kill.name for kill in kills).items())
        ],
        **machine("grpcio", "asyncpg"),
    }


def _announced() -> list[int]:
    """The kinds that people have and workers can do."""
    from eros_matcher.worker.__main__ import KINDS

    return [int(kind) for kind in KINDS if kind <= _KINDS]


def _person(index: int) -> accounts_pb2.ImportedAccount:
    profile = demo.profile(Random(f"bench/{index}"), _CITY)
    return accounts_pb2.ImportedAccount(external_id=str(index), profile=profile)


def _second_half(mesh: Mesh) -> list[Keeper]:
    """Another scheduler, and two workers of its own."""
    ports = Ports()
    scheduler = f"{LOOPBACK}:{ports.free()}"

    def keeper(part: Part, name: str, address: str) -> Keeper:
        def make() -> Program:
            program = mesh.plan.makers_of(part)[0]()
            return replace(
                program,
                name=name,
                environment={
                    **program.environment,
                    "EROS_LISTEN": address,
                    "EROS_SCHEDULER_ADDRESS": scheduler,
                },
                ready=partial(until_serving, address),
            )

        return Keeper(make, mesh.data.logs, silent, lambda: None, restart=True)

    return [
        keeper(Part.SCHEDULER, "scheduler-b", scheduler),
        *(
            keeper(Part.WORKER, f"worker-b{number}", f"{LOOPBACK}:{ports.free()}")
            for number in (1, 2)
        ),
    ]


async def _kill(
    victims: dict[str, Callable[[], Any]], rng: Random, until: float, kills: list[_Kill]
) -> None:
    names = sorted(victims)
    order = rng.sample(names, len(names))
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(*_KILL_EVERY))
        # Each once, in an order that the seed decides, then any.
        name = order.pop() if order else rng.choice(names)
        kills.append(_Kill(time.time(), name))
        await victims[name]()


async def _freeze(mesh: Mesh, url: str, kills: list[_Kill]) -> dict[str, int]:
    """Freezes the mesh's own scheduler as soon as its workers hold jobs, and looks what they do;
    where the other scheduler's workers do everything, nobody is frozen."""
    pid = mesh.pid("scheduler")
    until = time.monotonic() + _FREEZE_WITHIN_SECONDS
    async with open_operator(mesh.environment()) as operator:
        while True:
            if time.monotonic() > until:
                return {"frozen": 0, "not_halted": 0, "halted_themselves": 0}
            overview = await operator.scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
            os.kill(pid, signal.SIGSTOP)
            since = datetime.now(UTC)
            ours = {worker.worker_id for worker in overview.workers}
            held = [row["owner"] for row in await _fetch(url, _HELD) if row["owner"] in ours]
            if held:
                break
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.05)
    # It counts like a kill: halts of its workers have to wait meanwhile.
    kills.append(_Kill(time.time(), "scheduler (frozen)"))
    try:
        await asyncio.sleep(_FROZEN_SECONDS)
        (still,) = await _fetch(url, _STILL_HELD, held)
        (silent,) = await _fetch(url, _SILENT, held, since)
    finally:
        os.kill(pid, signal.SIGCONT)
    return {"frozen": 1, "not_halted": still["jobs"], "halted_themselves": silent["jobs"]}


async def _touch(mesh: Mesh, url: str, rng: Random) -> None:
    """Somebody who is worked on touches the phone, again and again."""
    async with open_operator(mesh.environment()) as operator:
        while True:
            await asyncio.sleep(rng.uniform(*_TOUCH_EVERY))
            # Whatever is down just now cannot be asked or told: the next one, then.
            with suppress(
                asyncpg.PostgresError, asyncpg.InterfaceError, OSError, grpc.aio.AioRpcError
            ):
                leased = [row["user_id"] for row in await _fetch(url, _LEASED)]
                if leased:
                    one = activity_pb2.Interaction(user_id=random.choice(leased).bytes)
                    await operator.activity.Touch(activity_pb2.TouchRequest(interactions=[one]))


async def _fetch(url: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return list(await connection.fetch(query, *arguments, timeout=20))
    finally:
        connection.terminate()


async def _until_done(
    url: str, people: int, kinds: list[int], deadline: float
) -> dict[tuple[Any, int], int]:
    """How often each job was done, once each was or the time is over."""
    times: dict[tuple[Any, int], int] = {}
    while time.monotonic() < deadline and len(times) < people * len(kinds):
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            rows = await _fetch(url, _DONE, kinds)
            times = {(row["user_id"], row["kind"]): row["times"] for row in rows}
        await asyncio.sleep(0.5)
    return times


async def _halts(url: str, kills: list[_Kill]) -> dict[str, Any]:
    """Those that were not in the shadow of a kill."""
    counted = [
        ((halt["durable"] - halt["touched"]) * 1000, (halt["out"] - halt["touched"]) * 1000)
        for halt in await _fetch(url, _HALTS)
        if halt["durable"] is not None
        and halt["out"] is not None
        and not any(
            kill.at - 1 <= halt["out"] and halt["touched"] <= kill.at + _AFTER_SECONDS
            for kill in kills
        )
    ]
    stopped = [max(both) for both in counted]
    return {
        "halts": len(counted),
        "over_bound": sum(ms > _BOUND_MS for ms in stopped),
        "stopped_max_ms": round(max(stopped, default=0.0), 1),
    }
