"""The workers' side: who is connected, what they hold, when they are done. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from eros_scheduler.core import halting, yielding
from eros_scheduler.core.answers import LeaseRenewed, Verified
from eros_scheduler.core.claims import claim_for, release
from eros_scheduler.core.events import (
    BatchEnded,
    RenewAsked,
    WorkerConnected,
    WorkerGone,
    WorkerReady,
    WorkerStatus,
)
from eros_scheduler.core.instructions import (
    EndStream,
    RenewLease,
    SendDrain,
    SendRenewed,
    SendWelcome,
    Verify,
)
from eros_scheduler.core.model import HaltReason, HeldJob, LeasedRow, Now, Zone
from eros_scheduler.core.state import Lease, State, Worker

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


def connected(state: State, event: WorkerConnected, now: Now) -> None:
    """A worker says what it holds. The database knows what of it is so; until it has answered,
    the worker is taken at its word, so that a halt reaches it."""
    old = state.workers.get(event.worker)
    if old is not None:
        gone(state, WorkerGone(old.worker_id, old.session))
        state.out.append(EndStream(old.session))
    worker = Worker(event.worker, event.session, event.kinds, verifying=bool(event.held))
    worker.leases = {
        job.user_id: Lease(job.user_id, job.kind, job.token, Zone(""), _ALWAYS)
        for job in event.held
    }
    worker.batch_size = len(event.held)
    worker.kind = event.held[0].kind if event.held else None
    yielding.begin_turn(state, worker, now)
    state.workers[event.worker] = worker
    woken = [lease for lease in worker.leases.values() if lease.user_id in state.waking]
    halting.halt(state, worker, woken, HaltReason.WOKE, event_at=now.wall)
    if not state.watch.seeing(now.wall):
        halting.halt_worker(state, worker, HaltReason.PAUSED, now)
    if worker.verifying:
        state.out.append(Verify(event.worker, event.session, event.held))
    else:
        state.out.append(SendWelcome(event.session, ()))
    if state.draining_seconds is not None:
        state.out.append(SendDrain(event.session, state.draining_seconds))


def verified(state: State, event: Verified, now: Now) -> None:
    """What is the worker's stays its own, except where it may no longer run."""
    worker = state.worker(event.worker, event.session)
    if worker is None or not worker.verifying:
        return
    worker.verifying = False
    state.out.append(SendWelcome(event.session, tuple(row.job for row in event.live)))
    _agree(state, worker, event.asked, event.live, now)
    claim_for(state, worker, now)


def renew_asked(state: State, event: RenewAsked) -> None:
    worker = state.worker(event.worker, event.session)
    if worker is not None:
        jobs = tuple(lease.job for lease in worker.leases.values() if not lease.halting)
        state.out.append(RenewLease(event.worker, event.session, event.batch_id, jobs))


def renewed(state: State, event: LeaseRenewed, now: Now) -> None:
    """The batch may go on, but for what is done or somebody else's by now."""
    worker = state.worker(event.worker, event.session)
    if worker is not None:
        state.out.append(SendRenewed(event.session, event.batch_id, event.lease_until))
        _agree(state, worker, event.asked, event.live, now)


def _agree(
    state: State,
    worker: Worker,
    asked: Iterable[HeldJob],
    live: Iterable[LeasedRow],
    now: Now,
) -> None:
    """Bring what a worker is taken to hold in line with its job rows."""
    rows = {row.job: row for row in live}
    fenced: list[Lease] = []
    awake: list[Lease] = []
    for job in asked:
        lease = worker.leases.get(job.user_id)
        if lease is None or lease.job != job:
            continue
        row = rows.get(job)
        if row is None:
            fenced.append(lease)
            continue
        lease.zone, lease.solo_at = row.zone, row.solo_at
        if row.awake:
            awake.append(lease)
    halting.halt(state, worker, fenced, HaltReason.FENCED, event_at=now.wall)
    halting.halt(state, worker, awake, HaltReason.WOKE, event_at=now.wall)
    halting.halt_closed(state, worker, now)


def ready(state: State, event: WorkerReady, now: Now) -> None:
    """It can take a batch: whatever it was taken to hold, it does not."""
    worker = state.worker(event.worker, event.session)
    if worker is not None:
        release(state, [lease.job for lease in worker.leases.values()])
        worker.leases = {}
        worker.ready = True
        claim_for(state, worker, now)


def ended(state: State, event: BatchEnded, now: Now) -> None:
    """The batch is over; what is not in the report was halted and acknowledged before."""
    worker = state.worker(event.worker, event.session)
    if worker is None:
        return
    if worker.kind is not None:
        tally = state.tally[worker.kind]
        tally.done += event.completed
        tally.failed += event.failed
        tally.batches += 1
        tally.batch_seconds += event.seconds
        yielding.ended(state, worker, event.completed + event.failed, now)
    worker.leases = {}
    worker.batch_id = worker.kind = None
    worker.batch_size = 0
    worker.batches_done += 1


def status(state: State, event: WorkerStatus) -> None:
    worker = state.worker(event.worker, event.session)
    if worker is not None:
        worker.cpu, worker.cpu_cap = event.cpu, event.cpu_cap


def gone(state: State, event: WorkerGone) -> None:
    """Its jobs stay leased until it is back, here or elsewhere, or the leases end: it halts itself
    when it hears nothing."""
    worker = state.worker(event.worker, event.session)
    if worker is not None:
        halting.forget(state, worker)
        del state.workers[event.worker]
