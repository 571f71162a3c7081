"""`eros jobs`: what the scheduler has, is doing and has done."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from eros.scheduler.v1 import scheduler_pb2

_WIDE = 200
_STATES = ("queued", "leased", "dead")


def register(app: typer.Typer) -> None:
    @app.command()
    def jobs(
        user: str = typer.Option("", help="Only this person's rows (a user id)."),
        state: str = typer.Option("", help="Only rows in this state: queued, leased or dead."),
        limit: int = typer.Option(20, min=1, max=1000, help="How many rows at most."),
    ) -> None:
        """Show the night's work: workers, kinds of jobs, and job rows."""
        if state and state not in _STATES:
            raise typer.BadParameter(f"must be one of {', '.join(_STATES)}", param_hint="--state")
        try:
            user_id = uuid.UUID(user).bytes if user else b""
        except ValueError:
            raise typer.BadParameter("is no user id", param_hint="--user") from None
        asyncio.run(_show(_console(), user_id, state, limit))


def _console() -> Console:
    # Into a pipe or file, lines are not cut to a terminal's width.
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


async def _show(console: Console, user_id: bytes, state: str, limit: int) -> None:
    from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
    from eros_cli.mesh.options import Part
    from eros_cli.operator import operator_channel, running_environment

    number = 1 + _STATES.index(state) if state else 0
    async with operator_channel(running_environment(), Part.SCHEDULER) as channel:
        scheduler = scheduler_pb2_grpc.SchedulerServiceStub(channel)
        overview = await scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
        rows = await scheduler.ListJobs(
            scheduler_pb2.ListJobsRequest(
                user_id=user_id, state=scheduler_pb2.JobState.ValueType(number), limit=limit
            )
        )
    _print_overview(console, overview)
    _print_rows(console, rows.jobs)


def _print_overview(console: Console, overview: scheduler_pb2.GetOverviewResponse) -> None:
    phases = ", ".join(f"{phase}: {n}" for phase, n in enumerate(overview.people_by_phase))
    console.print(f"Night clock {_instant(overview.night_now)}; asleep by phase: {phases}")
    if overview.HasField("paused_until"):
        console.print(f"[yellow]Paused[/yellow]: {overview.pause_reason}")
    workers = Table("worker", "works on", "batch", "CPU", "cap", "batches done")
    for worker in overview.workers:
        workers.add_row(
            worker.worker_id,
            _kind(worker.kind),
            str(worker.batch_size),
            f"{worker.cpu:.0%}",
            f"{worker.cpu_cap:.0%}",
            str(worker.batches_done),
        )
    console.print(workers)
    kinds = Table("kind", "ready", "running", "done", "failed", "dead", "mean s", "success")
    for kind in overview.kinds:
        counts = (kind.ready, kind.running, kind.done, kind.failed, kind.dead)
        kinds.add_row(
            _kind(kind.kind),
            *map(str, counts),
            f"{kind.mean_seconds:.2f}",
            f"{kind.success_rate:.1%}",
        )
    console.print(kinds)


def _print_rows(console: Console, rows: Sequence[scheduler_pb2.Job]) -> None:
    table = Table(
        "person", "kind", "state", "due", "asleep since", "zone", "attempts", "last error"
    )
    for row in rows:
        table.add_row(
            str(uuid.UUID(bytes=row.user_id)),
            _kind(row.kind),
            _STATES[row.state - 1] if row.state else "",
            _instant(row.due_at) if row.HasField("due_at") else "",
            _instant(row.asleep_since) if row.HasField("asleep_since") else "",
            row.zone,
            str(row.attempts),
            row.last_error,
        )
    console.print(table)


def _kind(kind: int) -> str:
    from eros.scheduler.v1 import work_pb2

    name = work_pb2.JobKind.Name(work_pb2.JobKind.ValueType(kind))
    return "" if kind == 0 else name.removeprefix("JOB_KIND_").lower()


def _instant(stamp: Timestamp) -> str:
    return f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S}Z"
