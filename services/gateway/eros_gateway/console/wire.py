"""What the console shows, as its messages. Pure."""

from __future__ import annotations

from eros.gateway.v1 import console_pb2 as pb
from eros.scheduler.v1 import scheduler_pb2
from eros_common.ids import user_id_from_bytes
from eros_gateway.console.history import Sample

_DIGITS = 8


def sample(found: Sample) -> pb.PeopleSample:
    at, people = found
    message = pb.PeopleSample(people=people)
    message.at.FromMilliseconds(round(at * 1000))
    return message


def halt(found: scheduler_pb2.Halt) -> pb.HaltSeen:
    begin = found.touched_at or found.event_at

    def ms(at: float) -> float:
        return max(0.0, at - begin) * 1000 if at else 0.0

    user = str(user_id_from_bytes(found.user_id))
    message = pb.HaltSeen(
        id=f"{user[:_DIGITS]}-{found.event_at:.6f}",
        # The last ones differ where the first are the time of registration.
        person=user[-_DIGITS:],
        kind=found.kind,
        reason=found.reason,
        event_ms=ms(found.event_at),
        dispatched_ms=ms(found.dispatched_at),
        received_ms=ms(found.received_at),
        durable_ms=ms(found.durable_at),
        left_ms=ms(found.left_at),
        killed=found.killed,
    )
    message.at.FromMicroseconds(round(begin * 1e6))
    return message


def dead_job(found: scheduler_pb2.Job) -> pb.DeadJob:
    return pb.DeadJob(
        user_id=str(user_id_from_bytes(found.user_id)),
        kind=found.kind,
        attempts=found.attempts,
        error=found.last_error,
    )
