"""The audit's days: prepared ahead, forgotten in time."""

from __future__ import annotations

from typing import Final

from eros_common import logging, telemetry
from eros_common.clocks import Clock
from eros_scheduler.ports import Audit, StoreUnavailableError

log = logging.get("scheduler.keeping")

EVERY_SECONDS: Final = 3600.0
AGAIN_SECONDS: Final = 60.0
"""When the database was away, or somebody, such as a backup, read what was to be altered."""


class Keeping:
    """Nothing that is wrong with the audit ends the scheduler: it is said, and tried again."""

    def __init__(self, audit: Audit, clock: Clock, *, days: int) -> None:
        self._audit = audit
        self._clock = clock
        self._days = days
        self._wait = 0.0
        self._failures = telemetry.meter().create_counter(
            "eros.scheduler.audit.failures",
            unit="{attempt}",
            description="Attempts to prepare days of the audit, and forget old ones, that failed",
        )

    async def once(self) -> None:
        self._wait = EVERY_SECONDS
        try:
            if dropped := await self._audit.keep(days=self._days):
                log.info("forgotten", partitions=dropped, days_kept=self._days)
        except StoreUnavailableError as error:
            self._wait = AGAIN_SECONDS
            log.warning("not_kept", error=str(error))
            self._failures.add(1)

    async def run(self) -> None:
        """For ever, from when it was kept last."""
        while True:
            await self._clock.sleep(self._wait)
            await self.once()
