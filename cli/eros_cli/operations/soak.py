"""The whole mesh under mixed traffic while every part of it is killed, frozen and restarted."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg
import httpx

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.mesh.processes import batch_processes
from eros_cli.operations.soak_faults import Faults
from eros_cli.operations.soak_report import Footprint, Halt, Report
from eros_cli.operations.soak_traffic import Somebody
from eros_cli.operator import open_operator

# A night of eight hours takes two minutes and a day six, so people fall asleep within seconds and
# there is work every night.
_RATE: Final = 240.0
_FIRST_NIGHT: Final = datetime(2026, 6, 1, 21, 0, tzinfo=UTC)
_SETTINGS: Final = {
    "EROS_LOG_FORMAT": "json",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "3",
    "EROS_TICK_SECONDS": "1",
    "EROS_LEASE_SECONDS": "10",
    # So few people are soon done: work is slowed down, so that touches meet it.
    "EROS_CPU_CAP_PHASE1": "0.02",
    "EROS_CPU_CAP_PHASE2": "0.03",
    "EROS_CPU_CAP_PHASE3": "0.1",
    "EROS_RATE_PER_SECOND": "0",
    "EROS_RATE_SIGN_IN_PER_MINUTE": "0",
}
_SAMPLE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 60.0


async def soak(minutes: float, seed: int, people: int) -> Report:
    """Runs for so long, lets the mesh settle, and looks what was kept."""
    report, random = Report(seed, people=people), Random(seed)
    # Faults and people draw from sources of their own: neither changes what the other does.
    night = NightClock(_FIRST_NIGHT, datetime.now(UTC), _RATE)
    options = MeshOptions(settings=_SETTINGS, environment=clean_environment(), night=night)
    began = time.monotonic()
    async with (
        Mesh(options) as mesh,
        httpx.AsyncClient(
            base_url=f"{mesh.url}/api/v1", timeout=10, trust_env=False, limits=_limits(people)
        ) as http,
    ):
        crowd = [
            Somebody(http, number, Random(random.random()), report) for number in range(people)
        ]
        lives = [asyncio.create_task(somebody.live()) for somebody in crowd]
        faults = asyncio.create_task(Faults(mesh, Random(seed + 1), report).run())
        watching = asyncio.create_task(_watch(mesh, report))
        tasks = [*lives, faults, watching]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=minutes * 60, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()  # none ends by itself: this raises
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for name in mesh.names():
            await mesh.until_serving(name)
        await _settle(mesh, report)
        for somebody in crowd:
            async with asyncio.timeout(60):
                await somebody.check()
        await _look_at_rows(mesh, crowd, report)
        await _look_at_halts(mesh, report)
        for name in mesh.names():
            report.unexpected += _unexpected(mesh.service(name).log)
    report.seconds = time.monotonic() - began
    return report


def _limits(people: int) -> httpx.Limits:
    return httpx.Limits(max_connections=max(100, people), max_keepalive_connections=people)


async def _watch(mesh: Mesh, report: Report) -> None:
    """Memory and open files of every program; a new process is a new life."""
    pids: dict[str, int] = {}
    while True:
        for name, pid in _programs(mesh):
            lives = report.footprints.setdefault(name, [])
            if pids.get(name) != pid:
                pids[name] = pid
                lives.append(Footprint())
            with suppress(OSError, ValueError, IndexError):
                resident, files = _footprint(pid)
                lives[-1].memory.append(resident)
                lives[-1].files.append(files)
        await asyncio.sleep(_SAMPLE_SECONDS)


def _programs(mesh: Mesh) -> Iterator[tuple[str, int]]:
    """By name; the batch process of a worker is one, for it keeps much more than the worker."""
    for name in mesh.names():
        pid = mesh.service(name).pid
        if pid is not None:
            yield name, pid
            yield from ((f"{name} batches", batch) for batch in batch_processes(pid))


def _footprint(pid: int) -> tuple[float, int]:
    """MiB resident and open files. Raises OSError and IndexError for a process that ends."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    return resident, len(os.listdir(f"/proc/{pid}/fd"))


def _unexpected(log: Path) -> list[str]:
    """What a program logged as its own fault: the call, the request, the end of the traceback."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if '"rpc.unexpected"' in line:
            said = json.loads(line)
            cause = said.get("traceback", "").strip().rpartition("\n")[2]
            found.append(f"{said.get('method')} {said.get('requestId', '')} {cause}")
    return found


async def _settle(mesh: Mesh, report: Report) -> None:
    """Nobody touches anything any more: all that is due is to be done, unless time is up."""
    async with open_operator(mesh.environment()) as operator:
        until = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < until:
            overview = await operator.scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
            report.unfinished = sum(
                kind.ready + kind.running
                for kind in overview.kinds
                if kind.kind != work_pb2.JOB_KIND_LEARN
            )
            if not report.unfinished and not overview.pause_reason:
                return
            await asyncio.sleep(1)


async def _look_at_rows(mesh: Mesh, crowd: list[Somebody], report: Report) -> None:
    """Every person has every row, none is stuck or given up, no fence was completed twice, and what
    was said of matches is kept."""
    connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
    try:
        rows = await connection.fetch(
            "SELECT user_id, array_agg(kind ORDER BY kind) kinds, "
            "count(*) FILTER (WHERE state = 'x' OR state = 'l' AND lease_until < now() - "
            "interval '30 s') lost FROM scheduler.jobs GROUP BY user_id"
        )
        found: dict[str, Any] = {str(row["user_id"]): row for row in rows}
        for somebody in crowd:
            row = found.get(somebody.user_id)
            if somebody.user_id and (row is None or not {1, 2, 3} <= set(row["kinds"])):
                report.jobs_lost.append(f"rows of {somebody.user_id}")
            elif row is not None and row["lost"]:
                report.jobs_lost.append(f"{row['lost']} of {somebody.user_id}")
        report.doubled = await connection.fetchval(
            "SELECT count(*) FROM (SELECT 1 FROM scheduler.audit a, unnest(a.users, a.tokens) "
            "j(user_id, token) WHERE a.event = 3 GROUP BY j.user_id, a.kind, j.token "
            "HAVING count(*) > 1) doubled"
        )
        actions = await connection.fetch("SELECT user_id, other_id, action FROM matcher.actions")
        kept = {(str(a["user_id"]), str(a["other_id"]), a["action"]) for a in actions}
        for somebody in crowd:
            for other, action in somebody.acted:
                if (somebody.user_id, other, action) not in kept:
                    report.writes_lost.append(f"{action} of {somebody.user_id} on {other}")
    finally:
        await connection.close()


async def _look_at_halts(mesh: Mesh, report: Report) -> None:
    async with open_operator(mesh.environment()) as operator:
        request = scheduler_pb2.ListHaltsRequest(limit=10_000)
        for halt in (await operator.scheduler.ListHalts(request)).halts:
            begin = halt.touched_at or halt.event_at
            reason = work_pb2.HaltReason.Name(halt.reason).removeprefix("HALT_REASON_").lower()
            durable = (halt.durable_at - begin) * 1000 if halt.durable_at else None
            left = (halt.left_at - begin) * 1000 if halt.left_at else None
            report.halts.append(Halt(reason, begin, durable, left, halt.killed))
