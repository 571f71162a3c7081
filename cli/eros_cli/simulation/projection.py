"""Writes who sleeps to the job rows: one batch after the other, until the database takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from eros_cli.simulation.database import result_of
from eros_cli.simulation.sessions import SchedulerEnd
from eros_common.ids import UserId
from eros_scheduler.core.answers import WakesApplied
from eros_scheduler.core.model import OwnedJob, Transition, TransitionKind

_BATCH: Final = 1000
_WAKES_WAIT_SECONDS: Final = 0.02
_SLEEPS_WAIT_SECONDS: Final = 0.1
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 2.0


class Lane:
    """`write` says what is leased of these people; `applied` hears it."""

    def __init__(
        self,
        scheduler: SchedulerEnd,
        write: Callable[[Sequence[Transition]], Sequence[OwnedJob]],
        applied: Callable[[Sequence[Transition], Sequence[OwnedJob]], None],
        wait: float,
    ) -> None:
        self._scheduler = scheduler
        self._write = write
        self._applied = applied
        self._wait = wait
        self._waiting: list[Transition] = []
        self._busy = False

    def add(self, transitions: Sequence[Transition]) -> None:
        self._waiting += transitions
        if not self._busy:
            self._busy = True
            self._scheduler.after(self._wait, self._flush)

    def _flush(self) -> None:
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        self._try(batch, newest(batch), _FIRST_WAIT_SECONDS)

    def _try(self, batch: Sequence[Transition], last: Sequence[Transition], wait: float) -> None:
        def done(leased: Sequence[OwnedJob]) -> None:
            self._applied(batch, leased)
            self._busy = bool(self._waiting)
            if self._busy:
                self._flush()

        def away() -> None:
            longer = min(wait * 2, _LONGEST_WAIT_SECONDS)
            self._scheduler.after(wait, self._try, batch, last, longer)

        self._scheduler.database.call(self._scheduler, lambda: self._write(last), done, away)


class Projection:
    """Both lanes."""

    def __init__(self, scheduler: SchedulerEnd) -> None:
        jobs = scheduler.database.jobs

        def sleep(batch: Sequence[Transition]) -> Sequence[OwnedJob]:
            result_of(
                jobs.fall_asleep([each for each in batch if not scheduler.core.outdated(each)])
            )
            return ()

        def woken(batch: Sequence[Transition], leased: Sequence[OwnedJob]) -> None:
            scheduler.post(WakesApplied(batch, leased))

        self._wakes = Lane(
            scheduler, lambda batch: result_of(jobs.wake(batch)), woken, _WAKES_WAIT_SECONDS
        )
        self._sleeps = Lane(scheduler, sleep, lambda *_: None, _SLEEPS_WAIT_SECONDS)

    def add(self, transitions: Sequence[Transition]) -> None:
        sleeps = [each for each in transitions if each.kind is TransitionKind.ASLEEP]
        wakes = [each for each in transitions if each.kind is not TransitionKind.ASLEEP]
        if sleeps:
            self._sleeps.add(sleeps)
        if wakes:
            self._wakes.add(wakes)


def newest(batch: Sequence[Transition]) -> Sequence[Transition]:
    """The last word on each person."""
    if len(batch) == 1:
        return batch
    found: dict[UserId, Transition] = {}
    for transition in batch:
        known = found.get(transition.user_id)
        if known is None or known.at <= transition.at:
            found[transition.user_id] = transition
    return list(found.values())
