"""Takes one sleeping person's phone while work on them is running, and looks what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc, work_pb2
from eros_cli.demo.phone import Phone
from eros_common.ids import UserId, user_id_from_bytes

# Work on a person lasts some tens of milliseconds; look often enough to meet it.
_LOOK_SECONDS = 0.01
# A halt is over in half a second at the very most.
_HALT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class WokenPerson:
    """What a touch stopped: the work's kind; milliseconds since the touch was received."""

    kind: work_pb2.JobKind.ValueType
    durable_ms: float
    stopped_ms: float
    killed: bool
    http_ms: float


async def wake_somebody(
    scheduler: scheduler_pb2_grpc.SchedulerServiceStub, phones: Mapping[UserId, Phone]
) -> WokenPerson:
    """Waits until work on one of `phones` runs, sends their heartbeat, returns the halt.

    Touches another one when the work was over before the touch came. Runs until it has met one:
    bound it with a timeout. Raises RefusedError and grpc.aio.AioRpcError.
    """
    request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED, limit=1000)
    while True:
        leased = (await scheduler.ListJobs(request)).jobs
        for job in leased:
            phone = phones.get(user_id_from_bytes(job.user_id))
            if phone is not None:
                answer = await phone.heartbeat()
                halt = await _halt_of(scheduler, job.user_id)
                if halt is not None:
                    return _woken(halt, answer.ms)
        await asyncio.sleep(_LOOK_SECONDS)


async def _halt_of(
    scheduler: scheduler_pb2_grpc.SchedulerServiceStub, user_id: bytes
) -> scheduler_pb2.Halt | None:
    """The person's latest halt once it is whole; None when nothing was running any more."""
    request = scheduler_pb2.ListHaltsRequest(user_id=user_id, limit=1)
    try:
        async with asyncio.timeout(_HALT_SECONDS):
            while True:
                for halt in (await scheduler.ListHalts(request)).halts:
                    if halt.durable_at and halt.left_at and halt.touched_at:
                        return halt
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return None


def _woken(halt: scheduler_pb2.Halt, http_ms: float) -> WokenPerson:
    return WokenPerson(
        kind=halt.kind,
        durable_ms=(halt.durable_at - halt.touched_at) * 1000,
        stopped_ms=(halt.left_at - halt.touched_at) * 1000,
        killed=halt.killed,
        http_ms=http_ms,
    )
