"""Builds the market file of this host: `python -m eros_matcher.market DIRECTORY MODEL YEAR PARENT`.

A process of its own, because it takes seconds of CPU that the worker's loop does not have. The
database comes from DATABASE_URL. One builder a host at a time; who comes second finds the work
done. 60,000 people take about two seconds and 130 MB.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import asyncpg

from eros_common import config, logging, postgres
from eros_common.config import DatabaseSettings, TelemetrySettings
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.files import MarketFiles, MarketStamp
from eros_matcher.market.freshness import is_stale
from eros_matcher.market.market import Market
from eros_matcher.store_features import RECORDS, record_of

log = logging.get("matcher.market")

_PR_SET_PDEATHSIG: Final = 1
_AT_ONCE: Final = 2000


class BuilderSettings(DatabaseSettings, TelemetrySettings):
    """What the helper process needs."""


async def build(directory: Path, model_version: int, year: int, database_url: str) -> MarketStamp:
    """Build the file unless the one that is there is fresh; returns what is there then."""
    started = time.time()
    files = MarketFiles(directory)
    with files.locked():
        async with postgres.open_pool(
            database_url, app="matcher-market", role="eros_matcher", size=1
        ) as pool:
            stamp = files.current(model_version, year)
            if stamp is not None and not await is_stale(pool, stamp):
                return stamp
            market, snapshot, dropped = await _read(pool, model_version, year)
        if dropped:
            log.warning("people_left_out", reason="broken vector", people=dropped)
        return files.publish(
            market.arrays(),
            model_version=model_version,
            year=year,
            snapshot=snapshot,
            started=started,
        )


async def _read(pool: asyncpg.Pool, model_version: int, year: int) -> tuple[Market, str, int]:
    builder = MarketBuilder(year)
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        snapshot: str = await connection.fetchval("SELECT pg_current_snapshot()::text")
        query = f"{RECORDS} WHERE f.in_market"
        cursor = await connection.cursor(query, model_version)
        while rows := await cursor.fetch(_AT_ONCE):
            for row in rows:
                person = record_of(row)
                if person.filters is not None:
                    builder.add(
                        *(person.user_id.bytes, person.filters, person.vector, row["tokens"]),
                        price=person.price,
                        written=row["written"],
                    )
    return builder.build(), snapshot, builder.dropped


def main() -> None:
    """The helper process; ends with its parent."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    directory, model_version, year, parent = sys.argv[1:]
    if os.getppid() != int(parent):
        # The parent died before we asked to be told.
        sys.exit(1)
    settings = config.load(BuilderSettings)
    logging.configure(fmt=settings.log_format, level=settings.log_level, service="matcher-market")
    os.nice(5)
    asyncio.run(
        build(
            Path(directory),
            int(model_version),
            int(year),
            settings.database_url.get_secret_value(),
        )
    )


if __name__ == "__main__":
    main()
