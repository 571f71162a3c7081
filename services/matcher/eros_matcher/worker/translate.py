"""The stream's messages to events, and instructions to the stream's messages. Pure."""

from __future__ import annotations

from datetime import UTC, date
from typing import assert_never

from eros.scheduler.v1 import work_pb2 as pb
from eros_common.ids import BatchId, JobToken, user_id_from_bytes, user_ids_from_bytes
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.jobs import HaltReason, Held, JobKind, Lease, LeasedBatch

PROTOCOL_VERSION = 1
ERROR_LETTERS = 500
"""Of an error that is told: as many as the job row keeps. A message must not be too long."""

Outgoing = do.SendHello | do.SendReady | do.SendAck | do.SendEnd | do.SendRenew
"""Instructions that become a message."""


def event_of(message: pb.WorkResponse, *, at: float) -> ev.Event | None:
    """What a message means, None for one that only says that the scheduler lives.

    `at` is when it arrived, wall seconds. Raises ValueError for what no scheduler sends.
    """
    match message.WhichOneof("message"):
        case "welcome":
            return ev.Welcomed(frozenset(map(_held, message.welcome.kept)))
        case "lease":
            return _leased(message.lease, at)
        case "renewed":
            return ev.Renewed(BatchId(message.renewed.batch_id), _until(message.renewed, at))
        case "halt":
            halt = message.halt
            users = tuple(user_ids_from_bytes(user.user_id for user in halt.users))
            return ev.HaltAsked(
                at, halt.nonce, None if halt.all else users, HaltReason(halt.reason)
            )
        case "drain":
            return ev.DrainAsked(at, leaving=False)
        case "alive":
            return None
        case unknown:
            raise ValueError(f"a message of a newer protocol: {unknown}")


def message_of(
    instruction: Outgoing, *, worker_id: str, kinds: tuple[JobKind, ...]
) -> pb.WorkRequest:
    match instruction:
        case do.SendHello(held):
            hello = pb.Hello(
                worker_id=worker_id,
                protocol_version=PROTOCOL_VERSION,
                kinds=[_kind(kind) for kind in kinds],
                held=[
                    pb.HeldJob(user_id=job.user_id.bytes, kind=_kind(job.kind), token=job.token)
                    for job in held
                ],
            )
            return pb.WorkRequest(hello=hello)
        case do.SendReady():
            return pb.WorkRequest(ready=pb.Ready())
        case do.SendAck(nonce, durable, left):
            ack = pb.HaltAck(nonce=nonce, durable=map(_halted, durable), left=map(_halted, left))
            return pb.WorkRequest(halt_ack=ack)
        case do.SendEnd():
            end = pb.BatchEnd(
                batch_id=instruction.batch_id,
                completed=[user.bytes for user in instruction.completed],
                failed=[
                    pb.FailedJob(user_id=user.bytes, error=error[:ERROR_LETTERS])
                    for user, error in instruction.failed
                ],
                lost=[user.bytes for user in instruction.lost],
                seconds=instruction.seconds,
                cpu_seconds=instruction.cpu_seconds,
            )
            return pb.WorkRequest(batch_end=end)
        case do.SendRenew(batch_id):
            return pb.WorkRequest(renew=pb.Renew(batch_id=batch_id))
        case _:
            assert_never(instruction)


def status_message(*, cpu: float, cpu_cap: float, rows_running: int) -> pb.WorkRequest:
    """Proof of life and load; `cpu` and `cpu_cap` are shares of one core."""
    return pb.WorkRequest(
        status=pb.WorkerStatus(cpu=cpu, cpu_cap=cpu_cap, rows_running=rows_running)
    )


def _leased(lease: pb.LeaseBatch, at: float) -> ev.Leased:
    return ev.Leased(
        at=at,
        lease_until=_until(lease, at),
        batch=LeasedBatch(
            batch_id=BatchId(lease.batch_id),
            kind=JobKind(lease.kind),
            cpu_cap=lease.cpu_cap,
            leases=tuple(
                Lease(
                    user_id=user_id_from_bytes(job.user_id),
                    token=JobToken(job.token),
                    next_due_at=job.next_due_at.ToDatetime(UTC),
                    list_date=date.fromisoformat(job.list_date),
                )
                for job in lease.leases
            ),
            night_now=lease.night_now.ToDatetime(UTC),
        ),
    )


def _until(lease: pb.LeaseBatch | pb.Renewed, at: float) -> float:
    """By this worker's clock, which may be ahead of the database's or behind it."""
    if lease.HasField("lease_seconds"):
        return at + lease.lease_seconds
    return lease.lease_until.ToMicroseconds() / 1e6


def _held(job: pb.HeldJob) -> Held:
    return Held(user_id_from_bytes(job.user_id), JobKind(job.kind), JobToken(job.token))


def _halted(acked: do.Acked) -> pb.HaltedJob:
    return pb.HaltedJob(
        user_id=acked.user_id.bytes,
        kind=pb.JOB_KIND_UNSPECIFIED if acked.kind is None else _kind(acked.kind),
        token=acked.token,
        at=acked.at,
        received_at=acked.received_at,
        killed=acked.killed,
        was_running=acked.was_running,
    )


def _kind(kind: JobKind) -> pb.JobKind.ValueType:
    return pb.JobKind.ValueType(int(kind))
