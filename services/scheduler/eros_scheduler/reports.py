"""What people look at, as messages. Pure."""

from __future__ import annotations

from eros.scheduler.v1 import scheduler_pb2 as pb
from eros.scheduler.v1 import work_pb2
from eros_common.phases import Phase
from eros_scheduler.core.model import RULES, HaltRecord, JobKind, Now
from eros_scheduler.core.state import KindTally, State, Worker
from eros_scheduler.explaining import Explanation
from eros_scheduler.ports import AuditEntry, Counts, JobState, JobView, KindCount
from eros_scheduler.wire import instant, kind_of, wall_time

_QUEUED = frozenset({JobState.QUEUED, JobState.WAITING, JobState.BACKING_OFF})

STATES: dict[int, frozenset[JobState]] = {
    pb.JOB_STATE_UNSPECIFIED: frozenset(),
    pb.JOB_STATE_QUEUED: _QUEUED,
    pb.JOB_STATE_LEASED: frozenset({JobState.LEASED}),
    pb.JOB_STATE_DEAD: frozenset({JobState.DEAD}),
}
"""The row states that a requested state means; none: any."""

_NO_ROWS = KindCount(0, 0, 0)


def overview(state: State, counts: Counts, now: Now) -> pb.GetOverviewResponse:
    found = pb.GetOverviewResponse(
        night_now=instant(now.night),
        people_by_phase=[counts.sleepers.get(phase, 0) for phase in Phase],
        workers=[_worker(worker) for worker in state.workers.values()],
        kinds=[
            _kind(kind, counts.kinds.get(kind, _NO_ROWS), state.tally[kind], now)
            for kind in state.settings.rules
        ],
        halts=state.halted,
        queue_age_seconds=_queue_age(counts, now),
        day_people=counts.day_people,
        day_ready=counts.day_ready,
    )
    watch = state.watch
    if watch.paused_until > now.wall:
        found.paused_until.CopyFrom(wall_time(watch.paused_until))
    if not watch.seeing(now.wall):
        found.pause_reason = watch.reason or "who sleeps is not known yet"
    return found


def _queue_age(counts: Counts, now: Now) -> float:
    return max((count.waited(now.night) for count in counts.kinds.values()), default=0.0)


def _worker(worker: Worker) -> pb.WorkerOverview:
    return pb.WorkerOverview(
        worker_id=worker.worker_id,
        kind=work_pb2.JOB_KIND_UNSPECIFIED if worker.kind is None else kind_of(worker.kind),
        batch_size=worker.batch_size,
        cpu=worker.cpu,
        cpu_cap=worker.cpu_cap,
        batches_done=worker.batches_done,
    )


def _kind(kind: JobKind, count: KindCount, tally: KindTally, now: Now) -> pb.KindOverview:
    ended = tally.done + tally.failed
    return pb.KindOverview(
        kind=kind_of(kind),
        ready=count.ready,
        running=count.running,
        done=tally.done,
        failed=tally.failed,
        dead=count.dead,
        mean_seconds=tally.batch_seconds / tally.batches if tally.batches else 0.0,
        success_rate=tally.done / ended if ended else 1.0,
        oldest_seconds=count.waited(now.night),
        batches=tally.batches,
    )


def job(row: JobView) -> pb.Job:
    state = pb.JOB_STATE_QUEUED
    if row.state is JobState.LEASED:
        state = pb.JOB_STATE_LEASED
    elif row.state is JobState.DEAD:
        state = pb.JOB_STATE_DEAD
    return pb.Job(
        user_id=row.user_id.bytes,
        kind=kind_of(row.kind),
        state=state,
        due_at=instant(row.due_at),
        asleep_since=instant(row.asleep_since),
        lease_until=instant(row.lease_until),
        owner=row.owner or "",
        attempts=row.attempts,
        last_error=row.last_error or "",
        zone=row.zone,
        token=row.token,
        has_checkpoint=row.has_checkpoint,
    )


def explanation(row: JobView, found: Explanation) -> pb.JobExplanation:
    return pb.JobExplanation(
        job=job(row),
        standing=pb.JobStanding.ValueType(found.standing),
        until=instant(found.until),
        why=found.why,
    )


def audit_entry(entry: AuditEntry) -> pb.AuditEntry:
    return pb.AuditEntry(
        at=instant(entry.at),
        event=pb.JobEvent.ValueType(entry.event),
        kind=kind_of(entry.kind),
        phase=RULES[entry.kind].phase,
        token=entry.token,
        worker_id=entry.worker,
        why=entry.why,
        ms=entry.ms,
        checkpoint_bytes=entry.size,
    )


def halt(record: HaltRecord) -> pb.Halt:
    """Legs that never came are 0."""
    return pb.Halt(
        user_id=record.user_id.bytes,
        kind=kind_of(record.kind),
        touched_at=record.touched_at or 0.0,
        event_at=record.event_at,
        dispatched_at=record.dispatched_at,
        received_at=record.received_at or 0.0,
        durable_at=record.durable_at or 0.0,
        left_at=record.left_at or 0.0,
        killed=record.killed,
        reason=work_pb2.HaltReason.ValueType(record.reason),
    )
