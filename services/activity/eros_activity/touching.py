"""Applies signs of life in batches, without waiting for a batch to fill.

What arrives while one batch is being written, or soon after it was begun, is the next batch: a lone
heartbeat costs one round trip, and under load many share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from eros_activity.domain.people import Interaction, UserKey
from eros_activity.lookout import Lookout
from eros_activity.ports import PeopleStore, StoreAway
from eros_common import telemetry
from eros_common.clocks import Clock
from eros_common.errors import Unavailable

GATHERED_SECONDS: Final = 0.005
"""A write costs as much as some hundred signs of life in it: so they are no closer than this."""
_AT_ONCE: Final = 500
_MAX_PENDING: Final = 200_000
_FIRST_RETRY_SECONDS: Final = 0.05
_LONGEST_RETRY_SECONDS: Final = 0.5


class _Batch:
    """At most one sign of life per person, and who waits for them to be written."""

    __slots__ = ("done", "touches")

    def __init__(self) -> None:
        self.touches: dict[UserKey, Interaction] = {}
        self.done: asyncio.Future[AbstractSet[UserKey]] = asyncio.get_running_loop().create_future()

    def add(self, touch: Interaction) -> None:
        other = self.touches.get(touch.user)
        if other is None:
            self.touches[touch.user] = touch
        else:
            # The later one counts as last seen; the earlier one is when the person was back.
            later = max(other, touch, key=lambda t: t.at)
            first = min(other, touch, key=lambda t: t.wall)
            self.touches[touch.user] = replace(first, at=later.at)


class Touches:
    """Signs of life on their way into the store. None is dropped while this process lives."""

    def __init__(
        self,
        people: PeopleStore,
        lookout: Lookout,
        clock: Clock,
        *,
        gathered_seconds: float = 0.0,
    ) -> None:
        self._gathered = gathered_seconds
        self._people = people
        self._lookout = lookout
        self._clock = clock
        self._next = _Batch()
        self._some = asyncio.Event()
        self._ingest = telemetry.meter().create_histogram(
            "eros.activity.wake.ingest",
            unit="ms",
            description="From a request that woke somebody to its sign of life in the store",
            explicit_bucket_boundaries_advisory=telemetry.MILLISECONDS,
        )

    def submit(self, interactions: Iterable[Interaction]) -> asyncio.Future[AbstractSet[UserKey]]:
        """Done when they are in the store, with whoever woke in their batch. Others wait for the
        same future: shield it.

        Raises ``Unavailable`` when far too many wait already.
        """
        batch = self._next
        if len(batch.touches) >= _MAX_PENDING:
            raise Unavailable("too many signs of life wait for the activity store")
        for interaction in interactions:
            batch.add(interaction)
        self._some.set()
        return batch.done

    async def apply(
        self, interactions: Iterable[Interaction], *, patience_seconds: float
    ) -> AbstractSet[UserKey]:
        """Returns when they are in the store, with whoever woke in their batch.

        Raises ``Unavailable`` if the store does not come back within the patience; they are written
        even so when it does.
        """
        batch = self.submit(interactions)
        try:
            async with asyncio.timeout(patience_seconds):
                return await asyncio.shield(batch)
        except TimeoutError:
            raise Unavailable("the activity store does not answer; try again") from None

    async def run(self) -> None:
        """Writes batch after batch; a background task."""
        began = float("-inf")
        while True:
            await self._some.wait()
            early = began + self._gathered - self._clock.monotonic()
            if early > 0:
                await self._clock.sleep(early)
            began = self._clock.monotonic()
            self._some.clear()
            batch, self._next = self._next, _Batch()
            touches = list(batch.touches.values())
            woke: set[UserKey] = set()
            for start in range(0, len(touches), _AT_ONCE):
                woke |= await self._write(touches[start : start + _AT_ONCE])
            batch.done.set_result(woke)
            now = self._clock.wall().timestamp()
            for user in woke & batch.touches.keys():
                # By two machines' clocks it may be there before it came.
                self._ingest.record(max(0.0, now - batch.touches[user].wall) * 1000)

    async def _write(self, touches: list[Interaction]) -> set[UserKey]:
        pause = _FIRST_RETRY_SECONDS
        while True:
            try:
                woke = await self._people.touch(touches, self._clock.night().timestamp())
            except StoreAway as error:
                self._lookout.fails("touches", error.why)
                await self._clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
            else:
                self._lookout.works("touches")
                return woke
