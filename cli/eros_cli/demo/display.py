"""Draws the night as it goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.demo.sleepers import Span

_PHASES: Final = ("asleep, window closed", "phase 1  analyze", "phase 2  score", "phase 3  match")
_COLOURS: Final = ("bright_black", "cyan", "blue", "magenta")
_BAR: Final = 34


def kind_name(kind: work_pb2.JobKind.ValueType) -> str:
    """`analyze` for JOB_KIND_ANALYZE; `-` for none."""
    if kind == work_pb2.JOB_KIND_UNSPECIFIED:
        return "-"
    return work_pb2.JobKind.Name(kind).removeprefix("JOB_KIND_").lower()


def render(
    overview: scheduler_pb2.GetOverviewResponse, people: int, span: Span, notes: list[str]
) -> RenderableType:
    """One picture: people by phase, workers against their caps, jobs, and what happened."""
    now = overview.night_now.ToDatetime(tzinfo=UTC)
    parts: list[RenderableType] = [
        _people(overview, people),
        _workers(overview),
        _jobs(overview),
    ]
    if overview.HasField("paused_until"):
        parts.append(Text(f"paused: {overview.pause_reason}", style="yellow"))
    parts += [Text.from_markup(note) for note in notes]
    return Panel(Group(*parts), title=_title(now, span), border_style="blue")


def one_line(overview: scheduler_pb2.GetOverviewResponse) -> str:
    """The same in a line, for output that is no terminal."""
    now = overview.night_now.ToDatetime(tzinfo=UTC)
    phases = "/".join(str(count) for count in overview.people_by_phase)
    cpu = " ".join(f"{worker.cpu:.0%} of {worker.cpu_cap:.0%}" for worker in overview.workers)
    done = ", ".join(f"{kind_name(kind.kind)} {kind.done}" for kind in overview.kinds)
    return f"{now:%H:%M} UTC  asleep by phase {phases}  workers {cpu}  done: {done}"


def _title(now: datetime, span: Span) -> str:
    share = min(max((now - span.start) / (span.end - span.start), 0.0), 1.0)
    return f"the night, {now:%a %H:%M} UTC ({share:.0%})"


def _people(overview: scheduler_pb2.GetOverviewResponse, people: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    asleep = sum(overview.people_by_phase)
    rows = [("awake", max(people - asleep, 0), "green")]
    rows += list(zip(_PHASES, overview.people_by_phase, _COLOURS, strict=False))
    for label, count, colour in rows:
        bar = ProgressBar(max(people, 1), count, width=_BAR, complete_style=colour)
        table.add_row(label, bar, Text(str(count), justify="right"))
    return table


def _workers(overview: scheduler_pb2.GetOverviewResponse) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("worker", "doing", "people", "CPU, share of a core", "", "cap", "batches"):
        table.add_column(column, justify="right" if column in ("people", "batches") else "left")
    for worker in overview.workers:
        table.add_row(
            worker.worker_id,
            kind_name(worker.kind),
            str(worker.batch_size),
            ProgressBar(1.0, min(worker.cpu, 1.0), width=_BAR // 2, complete_style="green"),
            f"{worker.cpu:.1%}",
            f"{worker.cpu_cap:.0%}" if worker.cpu_cap else "-",
            str(worker.batches_done),
        )
    return table


def _jobs(overview: scheduler_pb2.GetOverviewResponse) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("jobs", "ready", "running", "done", "failed"):
        table.add_column(column, justify="left" if column == "jobs" else "right")
    for kind in overview.kinds:
        failed = str(kind.failed + kind.dead)
        counts = (str(kind.ready), str(kind.running), str(kind.done), failed)
        table.add_row(kind_name(kind.kind), *counts)
    return table
