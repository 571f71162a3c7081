"""Knows whether we see, and asks for a pause when we do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from eros_activity.domain.sight import Blind, Pause, Sight, longest_pause, pause_after
from eros_activity.ports import StoreAway, TransitionLog
from eros_common import logging, telemetry
from eros_common.clocks import Clock

log = logging.get("activity.lookout")

_RETRY_SECONDS: Final = 0.2
#: While we are blind the pause grows, in steps of this.
_STEP_SECONDS: Final = 1.0


class Lookout:
    """The pause that holds now. Watchers here learn of one at once, the store as soon as it can."""

    def __init__(
        self,
        transitions: TransitionLog,
        clock: Clock,
        *,
        silence_seconds: float,
        heartbeat_seconds: float,
    ) -> None:
        self._log = transitions
        self._clock = clock
        self._interval = heartbeat_seconds
        self._sight = Sight(silence_seconds)
        self._unsaved: Pause | None = None
        self._save = asyncio.Event()
        self._pauses = telemetry.meter().create_counter(
            "eros.activity.pauses",
            unit="{pause}",
            description="Pauses asked for because signs of life may be lost",
        )
        self._over_at = 0.0
        self.pause: Pause | None = None
        """The longest pause known; it may be over."""
        self.on_pause: Callable[[], None] = lambda: None
        """Called when there is another one."""

    def active_pause(self) -> Pause | None:
        """The pause, unless it is over: it lasts no longer than pauses do, even if the clock that
        it was measured by was ahead and is right again."""
        pause = self.pause
        over = (
            pause is None
            or pause.until <= self._clock.wall().timestamp()
            or self._clock.monotonic() >= self._over_at
        )
        return None if over else pause

    def blind(self, gap_seconds: float, reason: str) -> None:
        """For so long, until now, signs of life may have been lost."""
        now = self._clock.wall().timestamp()
        pause = pause_after(gap_seconds, now, self._interval, reason)
        known = self.active_pause()
        if known is not None:
            step = _STEP_SECONDS if known.reason == reason else 0.0
            if pause.until <= known.until + step:
                return
        self.learn(pause)
        log.warning("blind", gap_seconds=round(gap_seconds, 3), reason=reason)
        self._pauses.add(1)
        self._unsaved = pause
        self._save.set()

    def learn(self, pause: Pause) -> None:
        """Another pause, from here or from the log; a shorter one changes nothing."""
        known = self.active_pause()
        if known is None or known.until < pause.until:
            self.pause = pause
            self._over_at = self._clock.monotonic() + longest_pause(self._interval)
            self.on_pause()

    def works(self, part: str) -> None:
        """A part of watching works."""
        now = self._clock.monotonic()
        was_blind = self._sight.works(part, now)
        if was_blind is not None:
            self._report(was_blind, now)

    def fails(self, part: str, why: str) -> None:
        """A part of watching failed; for longer than the silence, that is blindness."""
        now = self._clock.monotonic()
        self._sight.fails(part, now, why)
        for blind in self._sight.blind(now):
            self._report(blind, now)

    async def run(self) -> None:
        """Brings pauses into the store; a background task."""
        while True:
            await self._save.wait()
            self._save.clear()
            try:
                await self.save()
            except StoreAway:
                # A longer one may have come meanwhile; that one is tried next.
                self._save.set()
                await self._clock.sleep(_RETRY_SECONDS)

    async def save(self) -> None:
        """What was paused for until now is in the store then. Raises StoreAway."""
        if (pause := self._unsaved) is not None:
            await self._log.pause(pause)
            if self._unsaved is pause:
                self._unsaved = None

    def _report(self, blind: Blind, now: float) -> None:
        self.blind(now - blind.since, f"{blind.part}: {blind.why}")
