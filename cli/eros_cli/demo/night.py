"""Plays one night: people hold the phone until they go to bed; EROS works on whoever sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from eros.activity.v1 import activity_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from eros_cli.demo.sleepers import Sleeper, Span
from eros_cli.population.load import touch
from eros_common.clocks import Clock

# An awake person's signs of life must come well within the ten idle minutes of phase 1.
_SIGN_OF_LIFE_NIGHT_SECONDS = 240.0
_LONGEST_STEP_SECONDS = 1.0
_LOOK_SECONDS = 0.25


async def play(
    activity: activity_pb2_grpc.ActivityServiceStub,
    scheduler: scheduler_pb2_grpc.SchedulerServiceStub,
    clock: Clock,
    span: Span,
    sleepers: Sequence[Sleeper],
    show: Callable[[scheduler_pb2.GetOverviewResponse], None],
) -> scheduler_pb2.GetOverviewResponse:
    """Plays until the span's end on the night clock; returns the last overview.

    `show` is given an overview four times a second. Raises grpc.aio.AioRpcError.
    """
    async with asyncio.TaskGroup() as tasks:
        hands = tasks.create_task(_hold_phones(activity, clock, span, sleepers))
        overview = scheduler_pb2.GetOverviewResponse()
        while not hands.done():
            overview = await scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
            show(overview)
            await asyncio.wait([hands], timeout=_LOOK_SECONDS)
    return overview


async def _hold_phones(
    activity: activity_pb2_grpc.ActivityServiceStub,
    clock: Clock,
    span: Span,
    sleepers: Sequence[Sleeper],
) -> None:
    step = min(_LONGEST_STEP_SECONDS, _SIGN_OF_LIFE_NIGHT_SECONDS / clock.rate)
    while (now := clock.night()) < span.end:
        started = clock.monotonic()
        await touch(activity, {s.user_id: None for s in sleepers if s.awake(now)})
        await clock.sleep(max(0.0, step - (clock.monotonic() - started)))
