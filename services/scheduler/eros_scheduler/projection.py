"""Writes who sleeps to the job rows. Wakes and sleeps need no order between them: each says as of
when it holds, and older news change nothing."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from sys import maxsize
from typing import Any

from eros_common.clocks import Clock
from eros_common.ids import UserId
from eros_common.tasks import Batcher
from eros_scheduler.core.answers import WakesApplied
from eros_scheduler.core.model import Transition, TransitionKind
from eros_scheduler.ports import JobStore
from eros_scheduler.retrying import until_available

BATCH = 1000
WAKES_WAIT_SECONDS = 0.02
"""The halt of whoever woke has gone out already. Its checkpoint changes one of the rows that the
wake changes, so the first of the two keeps the other waiting until it is on the disk; and for the
checkpoint a person waits. This scheduler gives nobody out whose wake it has not written."""
SLEEPS_WAIT_SECONDS = 0.1
"""Nobody waits for a sleep to be written: ten minutes have passed already."""


class Projection:
    """`on_applied` hears of the wakes that the rows know of; `outdated` says of a sleep that its
    person is known to have woken since: it is not written then, not even for the moment until the
    wake is."""

    def __init__(
        self,
        jobs: JobStore,
        clock: Clock,
        on_applied: Callable[[WakesApplied], None],
        outdated: Callable[[Transition], bool],
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._on_applied = on_applied
        self._outdated = outdated
        self._wakes = Batcher(
            self._wake, max_items=BATCH, max_seconds=WAKES_WAIT_SECONDS, max_pending=maxsize
        )
        self._sleeps = Batcher(
            self._sleep, max_items=BATCH, max_seconds=SLEEPS_WAIT_SECONDS, max_pending=maxsize
        )

    @property
    def lanes(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """To be run for ever."""
        return (self._wakes.run, self._sleeps.run)

    def add(self, transitions: Iterable[Transition]) -> None:
        for transition in transitions:
            asleep = transition.kind is TransitionKind.ASLEEP
            (self._sleeps if asleep else self._wakes).offer(transition)

    async def _sleep(self, batch: Sequence[Transition]) -> None:
        newest = _newest(batch)

        async def write() -> None:
            await self._jobs.fall_asleep([sleep for sleep in newest if not self._outdated(sleep)])

        await until_available(self._clock, write)

    async def _wake(self, batch: Sequence[Transition]) -> None:
        newest = _newest(batch)
        leased = await until_available(self._clock, lambda: self._jobs.wake(newest))
        self._on_applied(WakesApplied(batch, leased))


def _newest(batch: Sequence[Transition]) -> list[Transition]:
    """The last word on each person."""
    newest: dict[UserId, Transition] = {}
    for transition in batch:
        known = newest.get(transition.user_id)
        if known is None or known.at <= transition.at:
            newest[transition.user_id] = transition
    return list(newest.values())
