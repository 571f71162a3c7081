"""The host's market file, built anew by a helper process when people changed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
from pydantic import SecretStr

from eros_common import logging
from eros_matcher.market.files import MarketFiles, MarketStamp
from eros_matcher.market.freshness import is_stale
from eros_matcher.work.helpers import HelperHangsError, run_helper

log = logging.get("matcher.market")

_REST_SECONDS: Final = 5.0
_REST_BUILDS: Final = 10.0
"""Between two builds pass 5 s, and ten times what one takes: at most a tenth of a core."""
_MOST_SECONDS: Final = 300.0
"""A million people take half a minute where nobody else computes."""


class NoMarketError(Exception):
    """There is no market file for this model, and none could be built."""


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """A market file to be computed on."""

    path: Path
    version: str
    people: int


class HostMarkets:
    """The file in `data_dir`, shared by all workers of the host."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        database_url: SecretStr,
        data_dir: Path,
        *,
        most_seconds: float = _MOST_SECONDS,
    ) -> None:
        self._pool = pool
        self._database_url = database_url
        self._data_dir = data_dir
        self._most_seconds = most_seconds
        self._rests_until = -math.inf
        self._files = MarketFiles(data_dir)

    async def current(self, model_version: int, year: int) -> OpenMarket:
        """The newest market, built first where people changed and the last build is long ago.

        Raises NoMarketError, and HelperHangsError where there is none to go on with. Takes seconds
        where it builds; the loop is free meanwhile.
        """
        stamp = self._files.current(model_version, year)
        if stamp is None:
            await self._build(model_version, year)
            stamp = self._files.current(model_version, year)
        elif self._may_build(stamp) and await is_stale(self._pool, stamp):
            try:
                await self._build(model_version, year)
            except HelperHangsError:
                # The one there is goes on, for as long as after any build that took so long.
                self._rests_until = time.monotonic() + _REST_BUILDS * self._most_seconds
            stamp = self._files.current(model_version, year)
        if stamp is None:
            raise NoMarketError(f"no market file for model {model_version} in {self._data_dir}")
        return OpenMarket(self._files.path_of(stamp), stamp.version, stamp.people)

    def _may_build(self, stamp: MarketStamp) -> bool:
        return time.monotonic() >= self._rests_until and _rested(stamp)

    async def _build(self, model_version: int, year: int) -> None:
        started = time.monotonic()
        status = await run_helper(
            "eros_matcher.market",
            *(str(self._data_dir), str(model_version), str(year)),
            database_url=self._database_url,
            most_seconds=self._most_seconds,
        )
        log.info("built", status=status, seconds=round(time.monotonic() - started, 3))


def _rested(stamp: MarketStamp) -> bool:
    since = time.time() - stamp.built_at
    # A clock that was set back must not stop the building.
    return since < 0 or since >= max(_REST_SECONDS, _REST_BUILDS * stamp.seconds)
