"""Messages to events and instructions to messages: the work stream and the watch. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from eros.activity.v1 import activity_pb2
from eros.scheduler.v1 import work_pb2 as pb
from eros_common.errors import FailedPrecondition, InvalidArgument
from eros_common.ids import (
    BatchId,
    JobToken,
    UserId,
    WorkerId,
    user_id_from_bytes,
)
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import (
    HaltedJob,
    HeldJob,
    JobKind,
    SessionId,
    Transition,
    TransitionKind,
)

PROTOCOL_VERSION = 1

Sent = do.SendWelcome | do.SendLease | do.SendHalt | do.SendRenewed | do.SendDrain
"""Instructions that become a message to a worker."""

_KINDS = frozenset(map(int, JobKind))
_TRANSITIONS = {
    activity_pb2.TRANSITION_KIND_ASLEEP: TransitionKind.ASLEEP,
    activity_pb2.TRANSITION_KIND_WOKE: TransitionKind.WOKE,
    activity_pb2.TRANSITION_KIND_FORGOTTEN: TransitionKind.FORGOTTEN,
}


def connected(message: pb.WorkRequest, session: SessionId) -> ev.WorkerConnected:
    """The first message of a stream. Raises InvalidArgument, and FailedPrecondition for a worker
    that speaks an older protocol."""
    if message.WhichOneof("message") != "hello":
        raise InvalidArgument("a work stream begins with hello")
    hello = message.hello
    if hello.protocol_version < PROTOCOL_VERSION:
        raise FailedPrecondition(
            f"this worker speaks version {hello.protocol_version} of the work protocol, and the "
            f"scheduler no older one than {PROTOCOL_VERSION}: update the worker"
        )
    if not hello.worker_id:
        raise InvalidArgument("a worker needs an id")
    return ev.WorkerConnected(
        worker=WorkerId(hello.worker_id),
        session=session,
        # A newer worker may do what this scheduler does not know.
        kinds=frozenset(JobKind(kind) for kind in hello.kinds if kind in _KINDS),
        held=tuple(
            HeldJob(_user(job.user_id), JobKind(job.kind), JobToken(job.token))
            for job in hello.held
            if job.kind in _KINDS
        ),
    )


def event(message: pb.WorkRequest, worker: WorkerId, session: SessionId) -> ev.Event:
    """Any further message. Raises InvalidArgument."""
    match message.WhichOneof("message"):
        case "ready":
            return ev.WorkerReady(worker, session)
        case "halt_ack":
            ack = message.halt_ack
            return ev.HaltAcked(ack.nonce, _halted(ack.durable), _halted(ack.left))
        case "batch_end":
            end = message.batch_end
            return ev.BatchEnded(
                worker,
                session,
                BatchId(end.batch_id),
                completed=len(end.completed),
                failed=len(end.failed),
                seconds=end.seconds,
            )
        case "renew":
            return ev.RenewAsked(worker, session, BatchId(message.renew.batch_id))
        case "status":
            return ev.WorkerStatus(worker, session, message.status.cpu, message.status.cpu_cap)
        case unexpected:
            raise InvalidArgument(f"not now: {unexpected or 'a message without content'}")


def message(instruction: Sent, scheduler_id: str, wall: float) -> pb.WorkResponse:
    """`wall`: now, seconds since 1970."""
    match instruction:
        case do.SendWelcome():
            welcome = pb.Welcome(
                scheduler_id=scheduler_id,
                protocol_version=PROTOCOL_VERSION,
                kept=[
                    pb.HeldJob(user_id=job.user_id.bytes, kind=kind_of(job.kind), token=job.token)
                    for job in instruction.kept
                ],
            )
            return pb.WorkResponse(welcome=welcome)
        case do.SendLease():
            return pb.WorkResponse(lease=_lease(instruction, wall))
        case do.SendHalt():
            halt = pb.HaltBatch(
                nonce=instruction.nonce,
                users=[
                    pb.HaltedUser(user_id=user.bytes, touched_at=touched_at)
                    for user, touched_at in instruction.users
                ],
                reason=pb.HaltReason.ValueType(instruction.reason),
                all=instruction.everything,
            )
            return pb.WorkResponse(halt=halt)
        case do.SendRenewed():
            renewed = pb.Renewed(
                batch_id=instruction.batch_id,
                lease_until=wall_time(instruction.lease_until),
                lease_seconds=instruction.lease_until - wall,
            )
            return pb.WorkResponse(renewed=renewed)
        case do.SendDrain():
            return pb.WorkResponse(drain=pb.Drain(grace_seconds=instruction.grace_seconds))


def transitions(messages: Iterable[activity_pb2.Transition]) -> list[Transition]:
    """What the activity stream tells of people. Kinds of a newer protocol are left out."""
    return [
        Transition(
            user_id=_user(each.user_id),
            kind=_TRANSITIONS[each.kind],
            at=datetime.fromtimestamp(each.at, UTC),
            touched_at=each.touched_at,
            trace=each.traceparent,
        )
        for each in messages
        if each.kind in _TRANSITIONS
    ]


def kind_of(kind: JobKind) -> pb.JobKind.ValueType:
    return pb.JobKind.ValueType(kind)


def wall_time(seconds: float) -> Timestamp:
    """The instant of seconds since 1970."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1e6))
    return stamp


def instant(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _lease(instruction: do.SendLease, wall: float) -> pb.LeaseBatch:
    return pb.LeaseBatch(
        batch_id=instruction.batch_id,
        kind=kind_of(instruction.kind),
        cpu_cap=instruction.cpu_cap,
        leases=[
            pb.Lease(
                user_id=lease.user_id.bytes,
                token=lease.token,
                next_due_at=instant(lease.next_due_at),
                list_date=lease.list_date.isoformat(),
            )
            for lease in instruction.leases
        ],
        lease_until=wall_time(instruction.lease_until),
        night_now=instant(instruction.night_now),
        lease_seconds=instruction.lease_until - wall,
    )


def _halted(jobs: Iterable[pb.HaltedJob]) -> tuple[HaltedJob, ...]:
    return tuple(
        HaltedJob(_user(job.user_id), job.at, job.received_at, job.killed, job.was_running)
        for job in jobs
    )


def _user(data: bytes) -> UserId:
    try:
        return user_id_from_bytes(data)
    except ValueError as error:
        raise InvalidArgument(f"user_id: {error}") from None
