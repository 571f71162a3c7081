"""The service's parts on the store in memory, with a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from eros_activity.domain.gaps import Source
from eros_activity.domain.people import Interaction, Rules, UserKey
from eros_activity.domain.sight import Pause
from eros_activity.hub import Hub
from eros_activity.keeping import Keeper
from eros_activity.lookout import Lookout
from eros_activity.ports import StoreAway, Swept
from eros_activity.store_memory import MemoryLog, MemoryPeople, MemorySources
from eros_activity.touching import Touches
from eros_activity.watching import Update, Watching
from eros_common.phases import IdleThresholds
from eros_common.testing import FakeClock

RULES = Rules(IdleThresholds(), session_end=600.0, forget_after=30 * 86400.0)
SILENCE, INTERVAL, SWEEP = 2.0, 60.0, 1.0


class FlakyPeople(MemoryPeople):
    """A store that can be cut off."""

    away = False
    touched: list[Sequence[Interaction]]

    async def touch(self, batch: Sequence[Interaction], now: float) -> set[UserKey]:
        self._reach()
        self.touched.append(batch)
        return await super().touch(batch, now)

    async def forget(self, now: float) -> int:
        self._reach()
        return await super().forget(now)

    async def sweep(self, now: float, *, starting: bool = False) -> Swept:
        self._reach()
        return await super().sweep(now, starting=starting)

    def _reach(self) -> None:
        if self.away:
            raise StoreAway("cut off")


class FlakyLog(MemoryLog):
    """A log that can be cut off."""

    away = False

    async def pause(self, pause: Pause) -> bool:
        if self.away:
            raise StoreAway("cut off")
        return await super().pause(pause)


class FlakySources(MemorySources):
    """A register that can be cut off."""

    away = False

    async def save(self, settled: Mapping[Source, int]) -> None:
        if self.away:
            raise StoreAway("cut off")
        await super().save(settled)


@dataclass(slots=True)
class Parts:
    """One replica's; ``run`` starts its background tasks."""

    clock: FakeClock
    log: FlakyLog
    people: FlakyPeople
    sources: FlakySources
    lookout: Lookout
    hub: Hub
    touches: Touches
    keeper: Keeper
    watching: Watching

    @classmethod
    def of(cls, store: Parts | None = None) -> Parts:
        """``store``: another replica, on whose store this one is."""
        clock = store.clock if store else FakeClock()
        log = store.log if store else FlakyLog(kept=200)
        people = store.people if store else FlakyPeople(RULES, log, clock)
        people.touched = []
        lookout = Lookout(log, clock, silence_seconds=SILENCE, heartbeat_seconds=INTERVAL)
        hub = Hub(log, lookout, clock)
        keeper = Keeper(
            people,
            hub,
            lookout,
            clock,
            sweep_seconds=SWEEP,
            silence_seconds=SILENCE,
            clean_seconds=300,
        )
        return cls(
            clock=clock,
            log=log,
            people=people,
            sources=store.sources if store else FlakySources(clock),
            lookout=lookout,
            hub=hub,
            touches=Touches(people, lookout, clock),
            keeper=keeper,
            watching=Watching(people, hub, lookout),
        )

    @property
    def now(self) -> float:
        return self.clock.night().timestamp()

    @property
    def pause_seconds(self) -> float | None:
        """How much longer the pause lasts, None without one."""
        pause = self.lookout.active_pause()
        return None if pause is None else pause.until - self.clock.wall().timestamp()

    def seen(self, user: UserKey, ago: float = 0.0) -> Interaction:
        return Interaction(user, self.now - ago, self.clock.wall().timestamp())

    async def seed(self, *users: UserKey, ago: float = 3600.0) -> None:
        await self.people.touch([self.seen(user, ago) for user in users], self.now)


@asynccontextmanager
async def background(*runs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Tasks beside the block; one that fails fails the test."""
    tasks = [asyncio.ensure_future(run()) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


async def settle() -> None:
    """Lets every task that can go on do so; nothing in memory needs more turns than this."""
    for _ in range(50):
        await asyncio.sleep(0)


async def updates_until(
    stream: AsyncIterator[Update], wanted: Callable[[Update], Any]
) -> list[Update]:
    """Updates up to the first that is wanted."""
    found: list[Update] = []
    async with asyncio.timeout(10):
        async for update in stream:
            found.append(update)
            if wanted(update):
                return found
    raise AssertionError("the stream ended")


def user(number: int) -> UserKey:
    return UserKey(number.to_bytes(16, "big"))
