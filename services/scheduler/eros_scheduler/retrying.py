"""Trying again while the database is not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from eros_common import logging
from eros_common.clocks import Clock
from eros_scheduler.ports import StoreUnavailableError

log = logging.get("scheduler.store")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0

T = TypeVar("T")


async def until_available(clock: Clock, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns, once the database is there for it."""
    wait = FIRST_WAIT_SECONDS
    while True:
        try:
            return await attempt()
        except StoreUnavailableError as error:
            log.warning("unavailable", error=str(error), wait=wait)
        await clock.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
