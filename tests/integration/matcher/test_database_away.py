"""What the matcher does beside its requests outlives a database that cuts its statements off, or
takes no writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from eros_common import config
from eros_common.auth.keyfiles import private_pem
from eros_common.lifecycle import running
from eros_common.testing import TestTokens
from eros_matcher.__main__ import compose
from eros_matcher.config import MatcherSettings
from tests.support.stores import read_only

_WAITING = """
SELECT pid, query_start FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'eros-matcher'
    AND wait_event_type = 'Lock'
"""


_TOKENS = TestTokens()


def _settings(postgres_url: str, valkey_url: str, folder: Path) -> MatcherSettings:
    key = folder / "matcher.pem"
    key.write_bytes(private_pem(_TOKENS.service_keys["matcher"]))
    return config.read(
        MatcherSettings,
        database_url=postgres_url,
        redis_url=valkey_url,
        service_key_file=key,
        listen="127.0.0.1:0",
        reads_listen="127.0.0.1:0",
        preview_refresh_seconds=0.02,
        cache_drop_seconds=0.02,
    )


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
@pytest.mark.parametrize("table", ["models", "cache_drops"])
async def test_a_statement_that_is_cut_off_is_tried_again(
    postgres_url: str, valkey_url: str, tmp_path: Path, table: str, end: str
) -> None:
    settings = _settings(postgres_url, valkey_url, tmp_path)
    locking, looking = [await asyncpg.connect(postgres_url) for _ in range(2)]
    try:
        async with running("matcher", settings, compose, auth=_TOKENS.auth("matcher")) as service:
            async with locking.transaction():
                await locking.execute(f"LOCK matcher.{table} IN ACCESS EXCLUSIVE MODE")
                seen: set[tuple[object, ...]] = set()
                async with asyncio.timeout(20):
                    # As many tries, one after the other: each is cut off.
                    while len(seen) < 3 and not service.failed.is_set():
                        for waiting in await looking.fetch(_WAITING):
                            if tuple(waiting) not in seen:
                                seen.add(tuple(waiting))
                                await looking.fetchval(f"SELECT {end}($1)", waiting["pid"])
                        await asyncio.sleep(0.01)
            assert not service.failed.is_set()
    finally:
        for connection in (locking, looking):
            await connection.close()


async def test_a_database_that_takes_no_writes_ends_nothing(
    postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    settings = _settings(postgres_url, valkey_url, tmp_path)
    async with (
        running("matcher", settings, compose, auth=_TOKENS.auth("matcher")) as service,
        read_only(postgres_url),
    ):
        # Each of its tasks tries fifty times.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.failed.wait(), 1.0)
