"""The two loops that keep the people in the store: the sweep and the cleaner."""

from __future__ import annotations

import asyncio
from typing import Final

from eros_activity.hub import Hub
from eros_activity.lookout import Lookout
from eros_activity.ports import Continuity, PeopleStore, StoreAway, Swept
from eros_common import logging
from eros_common.clocks import Clock

log = logging.get("activity.keeping")

_REASONS: Final = {
    Continuity.SAME: "activity's data began anew",
    Continuity.REWOUND: "the night clock was set back",
    Continuity.RESTARTED: "the activity store was restarted",
    Continuity.NEW: "the activity store came back empty",
}


class Keeper:
    """Announces who fell asleep, forgets who is gone, and notices what happened to the store."""

    def __init__(
        self,
        people: PeopleStore,
        hub: Hub,
        lookout: Lookout,
        clock: Clock,
        *,
        sweep_seconds: float,
        silence_seconds: float,
        clean_seconds: float,
    ) -> None:
        self._people = people
        self._hub = hub
        self._lookout = lookout
        self._clock = clock
        self._sweep_seconds = sweep_seconds
        self._silence = silence_seconds
        self._clean_seconds = clean_seconds
        self._epoch: int | None = None
        self._swept = asyncio.Event()
        self.watched_since: float | None = None
        """Night seconds: whoever is unknown was not seen since."""

    async def ready(self) -> None:
        """Waits for the first sweep."""
        await self._swept.wait()

    async def sweep(self) -> None:
        """Sweeps for ever; a background task."""
        while True:
            started = self._clock.monotonic()
            try:
                swept = await self._people.sweep(
                    self._clock.night().timestamp(), starting=self._epoch is None
                )
            except StoreAway as error:
                self._lookout.fails("sweep", error.why)
            else:
                self._lookout.works("sweep")
                self._look_back(swept)
            took = self._clock.monotonic() - started
            await self._clock.sleep(max(0.0, self._sweep_seconds - took))

    async def clean(self) -> None:
        """Forgets for ever; a background task."""
        while True:
            await self._clock.sleep(self._clean_seconds)
            try:
                forgotten = await self._people.forget(self._clock.night().timestamp())
            except StoreAway as error:
                log.warning("not_cleaned", why=error.why)
            else:
                log.info("cleaned", forgotten=forgotten)

    def _look_back(self, swept: Swept) -> None:
        """Whether signs of life may have been lost since the last sweep of any replica."""
        unwatched = swept.unwatched_seconds
        began_anew = self._epoch is not None and swept.epoch != self._epoch
        if began_anew:
            self._hub.restart()
        if began_anew or swept.continuity is Continuity.RESTARTED:
            self._lookout.blind(unwatched or 0.0, _REASONS[swept.continuity])
        elif unwatched is not None and unwatched > self._silence + self._sweep_seconds:
            self._lookout.blind(unwatched, "nobody watched")
        if swept.asleep:
            log.debug("asleep", people=swept.asleep)
        self._epoch = swept.epoch
        self.watched_since = swept.watched_since
        self._swept.set()
