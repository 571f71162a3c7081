"""The host's market file, built anew by a helper process when people changed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
from pydantic import SecretStr

from eros_common import logging
from eros_matcher.market.files import MarketFiles, MarketStamp
from eros_matcher.market.freshness import is_stale

log = logging.get("matcher.market")

_REST_SECONDS: Final = 5.0
_REST_BUILDS: Final = 10.0
"""Between two builds pass 5 s, and ten times what one takes: at most a tenth of a core."""


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

    def __init__(self, pool: asyncpg.Pool, database_url: SecretStr, data_dir: Path) -> None:
        self._pool = pool
        self._database_url = database_url
        self._data_dir = data_dir
        self._files = MarketFiles(data_dir)

    async def current(self, model_version: int, year: int) -> OpenMarket:
        """The newest market, built first where people changed and the last build is long ago.

        Raises NoMarketError. Takes seconds where it builds; the loop is free meanwhile.
        """
        stamp = self._files.current(model_version, year)
        if stamp is None or (_rested(stamp) and await is_stale(self._pool, stamp)):
            await self._build(model_version, year)
            stamp = self._files.current(model_version, year)
        if stamp is None:
            raise NoMarketError(f"no market file for model {model_version} in {self._data_dir}")
        return OpenMarket(self._files.path_of(stamp), stamp.version, stamp.people)

    async def _build(self, model_version: int, year: int) -> None:
        started = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "eros_matcher.market"),
            *(str(self._data_dir), str(model_version), str(year), str(os.getpid())),
            stdin=asyncio.subprocess.DEVNULL,
            env=os.environ
            | {
                "DATABASE_URL": self._database_url.get_secret_value(),
                "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        log.info("built", status=status, seconds=round(time.monotonic() - started, 3))


def _rested(stamp: MarketStamp) -> bool:
    since = time.time() - stamp.built_at
    # A clock that was set back must not stop the building.
    return since < 0 or since >= max(_REST_SECONDS, _REST_BUILDS * stamp.seconds)
