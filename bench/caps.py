"""What a worker may take of a core, and what everything takes while everybody is awake.

Caps: one compute child for each, computing matrix products without end, all at the same time. Its
CPU clock is read from outside every 50 ms; the worst of all windows of ten seconds counts, for what
is over the cap from the child's birth on. To start an interpreter and NumPy takes a few tenths of
a second of CPU at once, and the child computes nothing until its cap allows for that: it is within
the cap as a whole, and below it in every window that begins after the start and before
`first_chunk_s`. Nothing can be both; so what is below the cap counts from the first chunk on.
A child can be below its cap because others took the cores, so `foreign_pct` says how much of them
was taken meanwhile by whoever is not of this benchmark: `worst_under_10s` means little where it is
not small.

Awake: PostgreSQL, Valkey, activity, a scheduler and a worker as they ship, and people with job
rows, all of whom touched their phones just now. Counted are the scheduler and the worker with all
its processes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import asyncpg

from bench import _endless
from bench._machine import machine
from bench._processes import tree
from bench._processor import taking
from eros.activity.v1 import activity_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.operator import open_operator
from eros_matcher.compute.layout import Word
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker.child import ComputeProcess, process_cpu_seconds

_CAPS: Final = (0.05, 0.15, 0.95)
_PEOPLE: Final = 100_000
_SECONDS: Final = 40.0
_AWAKE_SECONDS: Final = 20.0
_WINDOW_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
_START_SECONDS: Final = 1.0
_FIRST_CHUNK_SECONDS: Final = 30.0
_ROWS: Final = 250
_AT_ONCE: Final = 2000
_MARK_DUE: Final = "SELECT scheduler.mark_due($1, $2, 1::smallint, now())"


@dataclass(slots=True)
class _Child:
    cap: float
    process: ComputeProcess
    seen: list[tuple[float, float]] = field(default_factory=list)
    """Wall and CPU seconds, each time it was looked at, from its birth on."""
    working_from: int = -1
    """The first look that found a chunk done."""

    def look(self) -> None:
        assert self.process.pid is not None
        # Between two looks at the wall clock, so that a late one is no error of the child's.
        before = time.monotonic()
        cpu = process_cpu_seconds(self.process.pid)
        self.seen.append(((before + time.monotonic()) / 2, cpu))
        if self.working_from < 0 and self.process.region.word(Word.CHUNKS):
            self.working_from = len(self.seen) - 1

    def windows(self, first: int) -> Iterator[float]:
        """The share of a core in every window of ten seconds, of those that begin at a look."""
        begin = first
        for at, cpu in self.seen[first:]:
            while at - self.seen[begin + 1][0] >= _WINDOW_SECONDS:
                begin += 1
            wall = at - self.seen[begin][0]
            if wall >= _WINDOW_SECONDS:
                yield (cpu - self.seen[begin][1]) / wall


def run() -> dict[str, Any]:
    """`worst_over_10s` and `worst_under_10s` in points (hundredths of a core); `awake_pct` of one
    core."""
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))
    people = int(os.environ.get("EROS_BENCH_PEOPLE", _PEOPLE))
    caps = asyncio.run(_caps(seconds))
    awake = asyncio.run(_awake(people))
    worst = {
        f"worst_{side}_10s": max(row[f"{side}_10s"] for row in caps["rows"])
        for side in ("over", "under")
    }
    return {**worst, **awake, **caps, **machine("numpy", "grpcio")}


async def _caps(seconds: float) -> dict[str, Any]:
    children = [_Child(cap, ComputeProcess(on_ring=lambda: None, on_death=_died)) for cap in _CAPS]
    spec = BatchSpec(
        factory=_endless.FACTORY,
        payload=b"",
        files=(),
        row_versions=("",) * _ROWS,
        snapshot_bytes=64,
        result_bytes=64,
        model_version="",
        market_version="",
    )
    try:
        for child in children:
            child.process.start()
            child.process.offer(spec, [None] * _ROWS, child.cap)
            child.look()
        await _look(children, _FIRST_CHUNK_SECONDS, _all_working)
        with taking() as taken:
            await _look(children, seconds, lambda _: False)
    finally:
        for child in children:
            await child.process.close()
    return {"foreign_pct": taken.foreign_pct, "rows": [_row(child) for child in children]}


async def _look(
    children: Sequence[_Child], seconds: float, until: Callable[[Sequence[_Child]], bool]
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until(children):
        await asyncio.sleep(_LOOK_SECONDS)
        for child in children:
            child.look()


def _all_working(children: Sequence[_Child]) -> bool:
    return all(child.working_from >= 0 for child in children)


def _died(status: int) -> None:
    raise RuntimeError(f"a compute child died: {status}")


def _row(child: _Child) -> dict[str, Any]:
    if child.working_from < 0:
        raise RuntimeError(f"a child at {child.cap * 100} % computed nothing")
    windows, working = list(child.windows(0)), list(child.windows(child.working_from))
    born, began, end = child.seen[0], child.seen[child.working_from], child.seen[-1]
    wall, cpu = end[0] - began[0], end[1] - began[1]
    return {
        "cap_pct": child.cap * 100,
        "first_chunk_s": round(began[0] - born[0], 2),
        "mean_pct": round(cpu / wall * 100, 3),
        "over_10s": round(max(0.0, max(windows) - child.cap) * 100, 3),
        "under_10s": round(max(0.0, child.cap - min(working)) * 100, 3),
        "windows": len(working),
    }


async def _awake(people: int) -> dict[str, Any]:
    environment = clean_environment()
    parts = frozenset(
        {Part.POSTGRES, Part.VALKEY, Part.ACCOUNTS, Part.ACTIVITY, Part.SCHEDULER, Part.WORKER}
    )
    async with (
        Mesh(MeshOptions(parts=parts, workers=1, environment=environment)) as mesh,
        open_operator(mesh.environment()) as operator,
    ):
        admin = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
        try:
            for begin in range(0, people, _AT_ONCE):
                some = [uuid4() for _ in range(min(_AT_ONCE, people - begin))]
                await admin.execute(_MARK_DUE, some, [""] * len(some))
                touches = [activity_pb2.Interaction(user_id=user.bytes) for user in some]
                await operator.activity.Touch(activity_pb2.TouchRequest(interactions=touches))
        finally:
            await admin.close()
        (worker,) = [name for name in mesh.names() if name.startswith("worker")]
        pids = {
            name: tree(pid)
            for name, pid in (("scheduler", mesh.pid("scheduler")), ("worker", mesh.pid(worker)))
        }
        await asyncio.sleep(_START_SECONDS)
        began = time.monotonic()
        before = {name: _cpu(ours) for name, ours in pids.items()}
        await asyncio.sleep(_AWAKE_SECONDS)
        wall = time.monotonic() - began
        taken = {name: (_cpu(ours) - before[name]) / wall * 100 for name, ours in pids.items()}
    return {
        "awake_pct": round(sum(taken.values()), 3),
        "awake_people": people,
        "awake_scheduler_pct": round(taken["scheduler"], 3),
        "awake_worker_pct": round(taken["worker"], 3),
    }


def _cpu(pids: Sequence[int]) -> float:
    return sum(process_cpu_seconds(pid) for pid in pids)
