"""Who is awake and who sleeps, counted for whoever measures."""

from __future__ import annotations

from typing import Final

from eros_activity.lookout import Lookout
from eros_activity.ports import PeopleStore, StoreAway
from eros_common import logging, telemetry
from eros_common.clocks import Clock

log = logging.get("activity.metrics")

_EVERY_SECONDS: Final = 5.0


class PeopleMetrics:
    """`run` it in the background."""

    def __init__(self, people: PeopleStore, lookout: Lookout, clock: Clock) -> None:
        self._people = people
        self._lookout = lookout
        self._clock = clock
        meter = telemetry.meter()
        self._counts = meter.create_gauge(
            "eros.activity.people", unit="{person}", description="People known, by idle phase"
        )
        self._sessions = meter.create_gauge(
            "eros.activity.sessions", unit="{session}", description="Open sessions"
        )
        self._paused = meter.create_gauge(
            "eros.activity.paused", unit="1", description="1 while blindness asks for a pause"
        )

    async def run(self) -> None:
        """For ever, where anybody listens."""
        while True:
            if telemetry.measuring():
                await self._tell()
            await self._clock.sleep(_EVERY_SECONDS)

    async def _tell(self) -> None:
        self._paused.set(0 if self._lookout.active_pause() is None else 1)
        try:
            counts = await self._people.counts(self._clock.night().timestamp())
        except StoreAway as error:
            log.warning("not_counted", why=error.why)
            return
        for phase, people in enumerate((counts.awake, counts.phase1, counts.phase2, counts.phase3)):
            self._counts.set(people, {"phase": phase})
        self._sessions.set(counts.open_sessions)
