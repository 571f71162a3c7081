"""Stopping work. A halt is sent by the event that causes it; nothing is waited for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from eros_common.ids import UserId, WorkerId
from eros_scheduler.core.events import HaltAcked, HaltSent
from eros_scheduler.core.instructions import RecordHalt, SendHalt
from eros_scheduler.core.model import HaltReason, HaltRecord, HeldJob, Now, OwnedJob
from eros_scheduler.core.state import Halt, HaltRow, Lease, State, Worker

_NOBODY: Mapping[UserId, float] = {}


def halt(
    state: State,
    worker: Worker,
    leases: Iterable[Lease],
    reason: HaltReason,
    *,
    event_at: float,
    touched: Mapping[UserId, float] = _NOBODY,
    everything: bool = False,
) -> None:
    """Have a worker stop these; those that it is stopping already are not asked for again."""
    fresh = [lease for lease in leases if not lease.halting]
    if not fresh:
        return
    rows: dict[UserId, HaltRow] = {}
    for lease in fresh:
        lease.halting = True
        rows[lease.user_id] = HaltRow(lease.kind, touched.get(lease.user_id) or None)
    nonce = f"{state.settings.scheduler_id}-{state.number()}"
    state.halts[nonce] = Halt(worker.worker_id, worker.session, reason, event_at, event_at, rows)
    users = tuple((lease.user_id, touched.get(lease.user_id, 0.0)) for lease in fresh)
    state.out.append(SendHalt(worker.session, nonce, users, reason, everything))


def halt_worker(state: State, worker: Worker, reason: HaltReason, now: Now) -> None:
    """Stop everything a worker holds."""
    leases = list(worker.leases.values())
    halt(state, worker, leases, reason, event_at=now.wall, everything=True)


def halt_closed(state: State, worker: Worker, now: Now) -> None:
    """The cap of a zone may have sunk: stop what may no longer run."""
    closed = [lease for lease in worker.leases.values() if not state.may_run(lease, now)]
    halt(state, worker, closed, HaltReason.WINDOW, event_at=now.wall)


def halt_owned(state: State, jobs: Sequence[OwnedJob], reason: HaltReason, now: Now) -> None:
    """Stop these where this scheduler leased them, under the fences named or older ones."""
    by_owner: dict[WorkerId, list[HeldJob]] = {}
    for owned in jobs:
        by_owner.setdefault(owned.owner, []).append(owned.job)
    for owner, held in by_owner.items():
        worker = state.workers.get(owner)
        if worker is not None:
            leases = [worker.leases.get(job.user_id) for job in held]
            mine = [
                lease
                for lease, job in zip(leases, held, strict=True)
                if lease is not None and lease.kind == job.kind and lease.token <= job.token
            ]
            halt(state, worker, mine, reason, event_at=now.wall)


def sent(state: State, event: HaltSent) -> None:
    if (found := state.halts.get(event.nonce)) is not None:
        found.dispatched_at = event.at


def acked(state: State, event: HaltAcked) -> None:
    """The worker says of each job, in any order, that it is durable and that it left."""
    found = state.halts.get(event.nonce)
    if found is None:
        return
    worker = state.worker(found.worker, found.session)
    for job in event.durable:
        row = found.rows.get(job.user_id)
        if row is None:
            continue
        if worker is not None:
            worker.leases.pop(job.user_id, None)
        if not job.was_running:
            # It had ended before: nothing was stopped.
            del found.rows[job.user_id]
            continue
        row.durable_at, row.received_at = job.at, job.received_at
        row.killed |= job.killed
    for job in event.left:
        row = found.rows.get(job.user_id)
        if row is not None:
            row.left_at = job.at
            row.killed |= job.killed
    for user_id, row in list(found.rows.items()):
        if row.durable_at is not None and row.left_at is not None:
            _record(state, found, user_id, row)
            del found.rows[user_id]
    if not found.rows:
        del state.halts[event.nonce]


def forget(state: State, worker: Worker) -> None:
    """The stream is gone: what was not acknowledged is recorded as it stands."""
    gone = [nonce for nonce, found in state.halts.items() if found.session == worker.session]
    for nonce in gone:
        found = state.halts.pop(nonce)
        for user_id, row in found.rows.items():
            _record(state, found, user_id, row)


def _record(state: State, found: Halt, user_id: UserId, row: HaltRow) -> None:
    state.halted += 1
    state.out.append(
        RecordHalt(
            HaltRecord(
                user_id=user_id,
                kind=row.kind,
                reason=found.reason,
                worker=found.worker,
                touched_at=row.touched_at,
                event_at=found.event_at,
                dispatched_at=found.dispatched_at,
                received_at=row.received_at,
                durable_at=row.durable_at,
                left_at=row.left_at,
                killed=row.killed,
            )
        )
    )
