"""The three formulas, at 10 thousand, 100 thousand and a million people, as the truth is now.

CPU: the simulated night (the real scheduler and worker, `./eros simulate`) with as many workers
whatever the number of people: what they take is their caps, and more people only take longer.
Memory: a real Valkey holding everybody's activity, everybody awake with a session, the dearest.
Writes: how often the schedulers write that a person woke (and so, that they fell asleep again), a
use of the app, counted where it is written: a use has many touches.

EROS_BENCH_SCALING_USERS and EROS_BENCH_SCALING_HOURS make it smaller; EROS_BENCH_SCALING_PLOT
names a picture to draw.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from bench._machine import machine
from eros_activity.domain.people import Interaction, Rules, UserKey
from eros_activity.store_valkey import ValkeyPeople
from eros_activity.valkey_functions import Functions
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.simulation.options import Options
from eros_cli.simulation.world import World
from eros_common.phases import IdleThresholds
from eros_common.redis import open_redis
from eros_scheduler.store_memory import MemoryJobs

_USERS: Final = "10000,100000,1000000"
_HOURS: Final = 0.5
_WORKERS: Final = 4
#: Everywhere from Lisbon to Athens phase 3 has begun: no worker needs to be without work.
_START: Final = datetime(2026, 6, 2, 4, 0, tzinfo=UTC)
_RULES: Final = Rules(IdleThresholds(), session_end=600.0, forget_after=30 * 86400.0)
_AT_ONCE: Final = 4000


@dataclass(frozen=True, slots=True)
class _Night:
    """Of one simulation: shares of a core a worker, and counts."""

    cpu: float
    cpu_most: float
    cap: float
    wakes: int
    uses: int
    schedulers: int


def run() -> dict[str, Any]:
    """A row for each number of people."""
    sizes = [int(n) for n in os.environ.get("EROS_BENCH_SCALING_USERS", _USERS).split(",")]
    hours = float(os.environ.get("EROS_BENCH_SCALING_HOURS", _HOURS))
    rows = []
    for users in sizes:
        began = time.perf_counter()
        night = _night(users, hours)
        bytes_a_person = asyncio.run(_memory(users))
        rows.append(
            {
                "users": users,
                "cpu_a_worker": round(night.cpu, 4),
                "cpu_most_in_a_minute": round(night.cpu_most, 4),
                "cap_a_worker": round(night.cap, 4),
                "bytes_a_person": round(bytes_a_person, 1),
                # Every scheduler hears of all and writes; what is known already changes no row.
                "wakes_a_use": round(night.wakes / night.schedulers / max(1, night.uses), 2),
                "uses": night.uses,
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    if plot := os.environ.get("EROS_BENCH_SCALING_PLOT"):
        _draw(rows, Path(plot))
    return {"workers": _WORKERS, "hours": hours, "rows": rows, **machine("redis")}


def _night(users: int, hours: float) -> _Night:
    counted = 0
    wake = MemoryJobs.wake

    async def counted_wake(self: MemoryJobs, wakes: Any) -> Any:
        nonlocal counted
        counted += len(wakes)
        return await wake(self, wakes)

    options = Options(users=users, hours=hours, start=_START, workers=_WORKERS, faults=0.0)
    try:
        MemoryJobs.wake = counted_wake  # type: ignore[method-assign]
        world = World(options)
        world.run()
    finally:
        MemoryJobs.wake = wake  # type: ignore[method-assign]
    tally = world.tally
    minutes = tally.minutes[1:]
    shares = [sum(minute.cpu.values()) / _WORKERS for minute in minutes]
    return _Night(
        cpu=sum(shares) / len(shares),
        cpu_most=max(shares),
        cap=max(minute.cap for minute in minutes) / _WORKERS,
        wakes=counted,
        uses=tally.sessions,
        schedulers=options.schedulers,
    )


async def _memory(users: int) -> float:
    """Bytes of Valkey a person known."""
    environment = clean_environment()
    options = MeshOptions(parts=frozenset({Part.VALKEY}), environment=environment)
    async with Mesh(options) as mesh, AsyncExitStack() as stack:
        url = mesh.environment()["ACTIVITY_REDIS_URL"]
        redis = await stack.enter_async_context(open_redis(url, app="bench", timeout_seconds=30))
        people = ValkeyPeople(Functions(redis), _RULES, shard_count=4, kept_seconds=600)
        random, now = Random(1), time.time()
        await people.sweep(now)
        empty = (await redis.info("memory"))["used_memory"]
        for start in range(0, users, _AT_ONCE):
            some = [UserKey(random.randbytes(16)) for _ in range(min(_AT_ONCE, users - start))]
            touches = [Interaction(key, now - random.random() * 500, now) for key in some]
            await people.touch(touches, now)
        full = (await redis.info("memory"))["used_memory"]
    return float(full - empty) / users


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    users = [row["users"] for row in rows]
    figure, (cpu, memory) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    cpu.plot(users, [100 * row["cpu_most_in_a_minute"] for row in rows], "o-", label="taken")
    cpu.plot(users, [100 * row["cap_a_worker"] for row in rows], "r--", label="allowed")
    cpu.set(xscale="log", xlabel="people", ylabel="% of a core, busiest minute", ylim=(0, 105))
    cpu.legend()
    memory.plot(users, [row["bytes_a_person"] for row in rows], "o-", label="measured")
    memory.axhline(200, color="r", linestyle="--", label="promised at most")
    memory.set(xscale="log", xlabel="people", ylabel="bytes a known person", ylim=(0, 220))
    memory.legend()
    figure.savefig(path)
    plt.close(figure)
