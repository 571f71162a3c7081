"""Load follows sleep: processor time of a real mesh with 0 to 100 % of its people asleep.

The whole mesh as it ships, one worker. Its night clock stands in the third phase; for each point
come people whom nobody has matched yet, so many of whom have slept for hours. Who is awake says so
every 30 s through the gateway. Measured from the process times of every program, from the moment
that the people are there; with more sleepers than a worker's caps let it serve within a point, the
curve is flat from there on.

EROS_BENCH_USERS (of each point) and EROS_BENCH_SECONDS (a point) change the size;
EROS_BENCH_SWEEP_PLOT names a picture.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench._crowd import IN_USE, imported, night_start
from bench._load import Order, cpu_seconds, request, send
from bench._machine import machine
from bench._phones import Tokens
from bench._processes import tree
from eros.scheduler.v1 import scheduler_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.operator import Operator, open_operator

_USERS: Final = 1000
_SECONDS: Final = 15.0
_PERCENTS: Final = (0, 25, 50, 75, 100)
_HEARTBEAT_SECONDS: Final = 30.0
_SETTINGS: Final = {"EROS_RATE_PER_SECOND": "0"}
_WORKER: Final = "worker-1"
_LOOKS: Final = 20
_LOOK_SECONDS: Final = 0.5


def run() -> dict[str, Any]:
    """A row for every share asleep; processor time as cores: the worker's, and everybody's."""
    rows = asyncio.run(_measure())
    if plot := os.environ.get("EROS_BENCH_SWEEP_PLOT"):
        _draw(rows, Path(plot))
    return {
        "users": rows[0]["users"],
        "all_awake_worker_cores": rows[0]["worker_cores"],
        "all_asleep_worker_cores": rows[-1]["worker_cores"],
        **machine("numpy", "grpcio"),
        "rows": rows,
    }


async def _measure() -> list[dict[str, Any]]:
    users = int(os.environ.get("EROS_BENCH_USERS", _USERS))
    seconds = float(os.environ.get("EROS_BENCH_SECONDS", _SECONDS))
    environment = clean_environment()
    night = NightClock(night_start(), datetime.now(UTC))
    options = MeshOptions(workers=1, environment=environment, settings=_SETTINGS, night=night)
    async with Mesh(options) as mesh, open_operator(mesh.environment()) as operator:
        rows = []
        for percent in _PERCENTS:
            rows.append(await _point(mesh, users, percent, seconds))
            await _until_done(operator)
        return rows


async def _point(mesh: Mesh, users: int, percent: int, seconds: float) -> dict[str, Any]:
    asleep = users * percent // 100
    slept = night_start().replace(hour=0)
    await imported(mesh, f"asleep-{percent}", asleep, slept)
    awake = await imported(mesh, f"awake-{percent}", users - asleep, None)
    before, began = _used(mesh), time.monotonic()
    if awake:
        tokens, port = Tokens(mesh), int(mesh.url.rsplit(":", 1)[1])
        requests = [
            request("POST", "/api/v1/heartbeat", port, tokens.of(user), IN_USE) for user in awake
        ]
        rate = len(awake) / _HEARTBEAT_SECONDS
        (await send(Order(port, requests, seconds, rate=rate))).all_succeeded()
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    took, after = time.monotonic() - began, _used(mesh)
    cores = {name: (after[name] - before[name]) / took for name in after}
    return {
        "asleep_percent": percent,
        "users": users,
        "worker_cores": round(cores[_WORKER], 4),
        "all_cores": round(sum(cores.values()), 3),
        "seconds": round(took, 1),
        "by_program": ", ".join(f"{n} {c:.3f}" for n, c in cores.items() if c >= 0.0005),
    }


def _used(mesh: Mesh) -> dict[str, float]:
    return {name: sum(cpu_seconds(tree(mesh.pid(name)))) for name in mesh.names()}


async def _until_done(operator: Operator) -> None:
    """Until nobody's work is in hand, so that one point does not count for the next."""
    leased = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED, limit=1)
    for _ in range(_LOOKS):
        if not (await operator.scheduler.ListJobs(leased)).jobs:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    asleep = [row["asleep_percent"] for row in rows]
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot(asleep, [row["all_cores"] for row in rows], "o-", label="all programs")
    axes.plot(asleep, [row["worker_cores"] for row in rows], "o-", label="of it, the worker")
    axes.set(xlabel="% of all people asleep", ylabel="cores", ylim=(0, None))
    axes.legend()
    figure.savefig(path)
    plt.close(figure)
