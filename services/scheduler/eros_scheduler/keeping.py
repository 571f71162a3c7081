"""The audit's days: prepared ahead, forgotten in time."""

from __future__ import annotations

from typing import Final

from eros_common import logging
from eros_common.clocks import Clock
from eros_scheduler.ports import Audit, StoreUnavailableError

log = logging.get("scheduler.keeping")

EVERY_SECONDS: Final = 3600.0
AGAIN_SECONDS: Final = 60.0
"""When the database was away, or somebody read what was to be dropped."""


async def keep_audit(audit: Audit, clock: Clock, *, days: int) -> None:
    """For ever."""
    while True:
        wait = EVERY_SECONDS
        try:
            if dropped := await audit.keep(days=days):
                log.info("forgotten", partitions=dropped, days_kept=days)
        except StoreUnavailableError as error:
            log.warning("not_kept", error=str(error))
            wait = AGAIN_SECONDS
        await clock.sleep(wait)
