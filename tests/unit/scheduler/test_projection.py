"""Who sleeps, on its way to the job rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from eros_common.phases import IdleThresholds
from eros_common.testing import FakeClock
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core.model import OwnedJob, Transition, TransitionKind
from eros_scheduler.projection import Projection
from eros_scheduler.store_memory import MemoryJobs
from tests.unit.scheduler.rig import NIGHT, Rig, person


class Noting(MemoryJobs):
    """What was written, in order; the database takes wakes only once it has taken the sleeps."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(IdleThresholds(), clock.wall)
        self.written: list[Transition] = []
        self._slept = asyncio.Event()

    async def fall_asleep(self, sleeps: Sequence[Transition]) -> None:
        self.written += sleeps
        self._slept.set()

    async def wake(self, wakes: Sequence[Transition]) -> Sequence[OwnedJob]:
        await self._slept.wait()
        self.written += wakes
        return ()


async def test_a_sleep_that_a_wake_ended_is_never_written() -> None:
    """A scheduler that lagged reads both at once; another one may claim in between."""
    rig, jobs = Rig(), Noting(FakeClock())
    slept = Transition(person(1), TransitionKind.ASLEEP, NIGHT - timedelta(hours=1))
    woke = Transition(person(1), TransitionKind.WOKE, NIGHT - timedelta(minutes=1))
    other = Transition(person(2), TransitionKind.ASLEEP, NIGHT - timedelta(hours=1))
    applied = asyncio.Event()

    def on_applied(event: an.WakesApplied) -> None:
        rig.post(event)
        applied.set()

    projection = Projection(jobs, FakeClock(), on_applied, rig.core.outdated)
    rig.post(ev.Transitioned([slept, woke, other], rig.wall))
    assert rig.core.outdated(slept)
    assert not rig.core.outdated(other)
    projection.add([slept, woke, other])
    tasks = [asyncio.create_task(lane()) for lane in projection.lanes]
    await applied.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert jobs.written == [other, woke]
    # Once the rows know of the wake, they know by themselves what is older.
    assert not rig.core.outdated(slept)
