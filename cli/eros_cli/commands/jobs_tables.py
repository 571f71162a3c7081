"""Jobs as tables on a terminal."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from eros.scheduler.v1 import scheduler_pb2, work_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from eros_gateway.front.ports import NightSeen


def overview(console: Console, seen: NightSeen) -> None:
    """Of several schedulers as of one, and who did not answer: of their workers nothing is told."""
    found = seen.overview
    for address, why in sorted(seen.silent.items()):
        console.print(f"[red]Scheduler {address} does not answer[/red]: {escape(why)}")
    phases = ", ".join(f"{phase}: {n}" for phase, n in enumerate(found.people_by_phase))
    console.print(f"Night clock {_instant(found.night_now)}; asleep by phase: {phases}")
    if found.HasField("paused_until"):
        console.print(f"[yellow]Paused[/yellow]: {escape(found.pause_reason)}")
    workers = Table("worker", "works on", "batch", "CPU", "cap", "batches done")
    for worker in found.workers:
        workers.add_row(
            escape(worker.worker_id),
            _kind(worker.kind),
            str(worker.batch_size),
            f"{worker.cpu:.0%}",
            f"{worker.cpu_cap:.0%}",
            str(worker.batches_done),
        )
    console.print(workers)
    kinds = Table("kind", "ready", "running", "done", "failed", "dead", "mean s", "success")
    for kind in found.kinds:
        counts = (kind.ready, kind.running, kind.done, kind.failed, kind.dead)
        kinds.add_row(
            _kind(kind.kind),
            *map(str, counts),
            f"{kind.mean_seconds:.2f}",
            f"{kind.success_rate:.1%}",
        )
    console.print(kinds)


def rows(console: Console, jobs: Sequence[scheduler_pb2.Job]) -> None:
    table = Table(
        "person", "kind", "state", "due", "asleep since", "zone", "attempts", "last error"
    )
    for job in jobs:
        table.add_row(
            str(uuid.UUID(bytes=job.user_id)),
            _kind(job.kind),
            _word(scheduler_pb2.JobState.Name(job.state), "JOB_STATE_"),
            _instant(job.due_at) if job.HasField("due_at") else "",
            _instant(job.asleep_since) if job.HasField("asleep_since") else "",
            job.zone,
            str(job.attempts),
            escape(job.last_error),
        )
    console.print(table)


def explained(console: Console, found: scheduler_pb2.ExplainJobsResponse) -> None:
    table = Table("kind", "standing", "until", "why")
    for each in found.jobs:
        table.add_row(
            _kind(each.job.kind),
            _word(scheduler_pb2.JobStanding.Name(each.standing), "JOB_STANDING_"),
            _instant(each.until) if each.HasField("until") else "",
            escape(each.why),
        )
    console.print(table)
    history = Table("at", "kind", "phase", "what", "token", "worker", "ms", "bytes kept", "why")
    for entry in found.history:
        history.add_row(
            _instant(entry.at),
            _kind(entry.kind),
            str(entry.phase),
            _word(scheduler_pb2.JobEvent.Name(entry.event), "JOB_EVENT_"),
            str(entry.token),
            escape(entry.worker_id),
            str(entry.ms) if entry.HasField("ms") else "",
            str(entry.checkpoint_bytes) if entry.checkpoint_bytes else "",
            escape(entry.why),
        )
    console.print(history)


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ").replace("unspecified", "")


def _kind(kind: work_pb2.JobKind.ValueType) -> str:
    return _word(work_pb2.JobKind.Name(kind), "JOB_KIND_")


def _instant(stamp: Timestamp) -> str:
    return f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S}Z"
