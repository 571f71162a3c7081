"""What a worker may take of a core, and what everything takes while everybody is awake.

Caps: one compute child for each, computing matrix products without end, all at the same time. Its
CPU clock is read from outside every 50 ms; the worst of all windows of ten seconds counts. A child
can be below its cap because others took the cores, so `foreign_pct` says how much of them was taken
meanwhile by whoever is not of this benchmark: `worst_under_10s` means little where it is not small.

Awake: PostgreSQL, Valkey, activity, a scheduler and a worker as they ship, and people with job
rows, all of whom touched their phones just now. Counted are the scheduler, the worker, its child.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import numpy as np

from bench._environment import without_servers
from bench._machine import machine
from eros.activity.v1 import activity_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_cli.operator import open_operator
from eros_matcher.compute.program import BatchInput, BatchSpec, Progress
from eros_matcher.worker.child import ComputeProcess, process_cpu_seconds

_CAPS: Final = (0.05, 0.15, 0.95)
_PEOPLE: Final = 100_000
_SECONDS: Final = 40.0
_AWAKE_SECONDS: Final = 20.0
_WINDOW_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
_START_SECONDS: Final = 1.0
"""Starting an interpreter is work too; it is within the cap, but not what this is about."""
_ROWS: Final = 250
_TILE: Final = 256
_AT_ONCE: Final = 2000
_MARK_DUE: Final = "SELECT scheduler.mark_due($1, $2, 1::smallint, now())"


class Endless:
    """A program that is never done: each unit a matrix product, each row a few bytes of state."""

    def __init__(self, batch: BatchInput) -> None:
        random = np.random.default_rng(1)
        self._left = random.random((batch.rows, 64), dtype=np.float32)
        self._right = random.random((64, _TILE), dtype=np.float32)
        self._done = 0

    def load(self, row: int, state: bytes | None) -> None:
        del row, state

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        for _ in range(units):
            self._left @ self._right
        self._done += units
        return Progress(units)

    def snapshot(self, row: int) -> bytes:
        return (self._done + row).to_bytes(8, "little")

    def result(self, row: int) -> bytes:
        raise AssertionError(f"row {row} is never done")

    def drop(self, row: int) -> None:
        del row

    def close(self) -> None:
        del self._left, self._right


def open_endless(batch: BatchInput) -> Endless:
    return Endless(batch)


@dataclass(slots=True)
class _Child:
    cap: float
    process: ComputeProcess
    seen: list[tuple[float, float]] = field(default_factory=list)
    """Wall and CPU seconds, each time it was looked at."""

    def look(self) -> None:
        assert self.process.pid is not None
        # Between two looks at the wall clock, so that a late one is no error of the child's.
        before = time.monotonic()
        cpu = process_cpu_seconds(self.process.pid)
        self.seen.append(((before + time.monotonic()) / 2, cpu))

    def windows(self) -> Iterator[float]:
        """The share of a core in every window of ten seconds."""
        begin = 0
        for at, cpu in self.seen:
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
        factory="bench.caps:open_endless",
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
        await asyncio.sleep(_START_SECONDS)
        with _foreign(children) as foreign:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for child in children:
                    child.look()
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        for child in children:
            await child.process.close()
    return {"foreign_pct": foreign[0], "rows": [_row(child) for child in children]}


def _died(status: int) -> None:
    raise RuntimeError(f"a compute child died: {status}")


def _row(child: _Child) -> dict[str, Any]:
    windows = list(child.windows())
    wall = child.seen[-1][0] - child.seen[0][0]
    cpu = child.seen[-1][1] - child.seen[0][1]
    return {
        "cap_pct": child.cap * 100,
        "mean_pct": round(cpu / wall * 100, 3),
        "over_10s": round(max(0.0, max(windows) - child.cap) * 100, 3),
        "under_10s": round(max(0.0, child.cap - min(windows)) * 100, 3),
        "windows": len(windows),
    }


@contextmanager
def _foreign(children: Sequence[_Child]) -> Iterator[list[float]]:
    """Afterwards: the percentage of all cores that others took."""

    def own() -> float:
        pids = [child.process.pid for child in children]
        return time.process_time() + sum(process_cpu_seconds(pid) for pid in pids if pid)

    found: list[float] = []
    began, busy, ours = time.monotonic(), _busy(), own()
    yield found
    wall = (time.monotonic() - began) * (os.cpu_count() or 1)
    found.append(round(max(0.0, _busy() - busy - (own() - ours)) / wall * 100, 1))


def _busy() -> float:
    """CPU seconds that anybody took since the machine started, stolen time included."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


async def _awake(people: int) -> dict[str, Any]:
    environment = without_servers()
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
            name: [pid, *_children(pid)]
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


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _cpu(pids: Sequence[int]) -> float:
    return sum(process_cpu_seconds(pid) for pid in pids)
