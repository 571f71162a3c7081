"""What is done beside the requests: ended sessions told again, traces removed, old rows swept."""

from __future__ import annotations

from typing import Final

from redis.exceptions import RedisError

from eros_accounts.leaving import Leaving
from eros_accounts.signin import SignIn
from eros_common import logging
from eros_common.clocks import Clock
from eros_common.errors import Unavailable

ANNOUNCE_SECONDS: Final = 10.0
ERASE_SECONDS: Final = 5.0
SWEEP_SECONDS: Final = 600.0

log = logging.get("accounts.housekeeping")


class Housekeeping:
    """Three loops that outlive an absent database or Valkey."""

    def __init__(self, sign_in: SignIn, leaving: Leaving, clock: Clock) -> None:
        self._sign_in = sign_in
        self._leaving = leaving
        self._clock = clock

    async def announce(self) -> None:
        """Tells of ended sessions again and again; a background task."""
        while True:
            await self._clock.sleep(ANNOUNCE_SECONDS)
            try:
                await self._sign_in.announce_again()
            except (RedisError, OSError, Unavailable) as error:
                log.warning("announce_failed", error=str(error))

    async def erase(self) -> None:
        """Removes traces of those who left, again and again; a background task."""
        while True:
            await self._clock.sleep(ERASE_SECONDS)
            try:
                await self._leaving.sweep()
            except Unavailable as error:
                log.warning("erase_failed", error=str(error))

    async def sweep(self) -> None:
        """Sweeps again and again, in pieces until nothing is left; a background task."""
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            try:
                while swept := await self._sign_in.sweep():
                    log.info("swept", rows=swept)
            except Unavailable as error:
                log.warning("sweep_failed", error=str(error))
