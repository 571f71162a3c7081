"""From one core's words to the other's, as the protocol carries them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from eros_common.ids import WorkerId
from eros_matcher.worker import events as worker_ev
from eros_matcher.worker import instructions as worker_do
from eros_matcher.worker import jobs as work
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import HaltedJob, HeldJob, JobKind, SessionId

Sent = do.SendWelcome | do.SendLease | do.SendHalt | do.SendRenewed | do.SendDrain
Said = (
    worker_do.SendHello
    | worker_do.SendReady
    | worker_do.SendAck
    | worker_do.SendEnd
    | worker_do.SendRenew
)


def to_worker(message: Sent, at: float) -> worker_ev.Event:
    """What a worker hears at this moment of its wall clock."""
    match message:
        case do.SendWelcome():
            kept = frozenset(
                work.Held(job.user_id, work.JobKind(job.kind), job.token) for job in message.kept
            )
            return worker_ev.Welcomed(kept)
        case do.SendLease():
            leases = tuple(
                work.Lease(each.user_id, each.token, each.next_due_at, each.list_date)
                for each in message.leases
            )
            kind = work.JobKind(message.kind)
            batch = work.LeasedBatch(
                message.batch_id, kind, message.cpu_cap, leases, message.night_now
            )
            return worker_ev.Leased(at, message.lease_until, batch)
        case do.SendHalt():
            users = None if message.everything else tuple(user for user, _ in message.users)
            reason = work.HaltReason(message.reason)
            return worker_ev.HaltAsked(at, message.nonce, users, reason)
        case do.SendRenewed():
            return worker_ev.Renewed(message.batch_id, message.lease_until)
        case do.SendDrain():
            return worker_ev.DrainAsked(at, leaving=False)
        case _:
            assert_never(message)


def to_scheduler(
    message: Said, worker: WorkerId, session: SessionId, kinds: frozenset[JobKind]
) -> ev.Event:
    match message:
        case worker_do.SendHello():
            held = tuple(HeldJob(job.user_id, JobKind(job.kind), job.token) for job in message.held)
            return ev.WorkerConnected(worker, session, kinds, held)
        case worker_do.SendReady():
            return ev.WorkerReady(worker, session)
        case worker_do.SendAck():
            return ev.HaltAcked(message.nonce, _halted(message.durable), _halted(message.left))
        case worker_do.SendEnd():
            return ev.BatchEnded(
                worker,
                session,
                message.batch_id,
                completed=len(message.completed),
                failed=len(message.failed),
                seconds=message.seconds,
            )
        case worker_do.SendRenew():
            return ev.RenewAsked(worker, session, message.batch_id)
        case _:
            assert_never(message)


def _halted(jobs: Iterable[worker_do.Acked]) -> tuple[HaltedJob, ...]:
    return tuple(
        HaltedJob(job.user_id, job.at, job.received_at, job.killed, job.was_running) for job in jobs
    )
