"""A scheduler that begins after days in which nothing ran, while somebody reads the audit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from eros_scheduler.core.model import JobKind
from tests.integration.scheduler.conftest import World


@pytest.fixture
async def after_a_month(world: World) -> AsyncIterator[None]:
    """One person's lease was left over, nobody prepared a day; it is mended afterwards."""
    await world.people(1)
    await world.admin.execute(
        """
        UPDATE scheduler.jobs SET state = 'l', owner = 'w', leased_at = now() - interval '30 days',
            lease_until = now() - interval '30 days'
        WHERE kind = 1
        """
    )
    for ahead in range(3):
        day = await _day(world, ahead)
        await world.admin.execute(f"DROP TABLE scheduler.audit_{day}, scheduler.halts_{day}")
    yield
    await world.admin.execute("SELECT scheduler.keep_partitions(2)")


async def _day(world: World, ahead: int) -> str:
    day = "SELECT to_char(now() AT TIME ZONE 'UTC' + $1 * interval '1 day', 'YYYYMMDD')"
    return str(await world.admin.fetchval(day, ahead))


async def _leases_again(world: World) -> None:
    worker = await world.worker(await world.scheduler(), kinds=[JobKind.ANALYZE])
    await worker.heard("lease")


@pytest.mark.usefixtures("after_a_month")
async def test_what_it_notes_is_kept_by_its_day(world: World) -> None:
    await _leases_again(world)
    noted = await world.admin.fetch(
        "SELECT event, tableoid::regclass::text AS day FROM scheduler.audit ORDER BY at"
    )
    today = f"scheduler.audit_{await _day(world, 0)}"
    assert [tuple(row) for row in noted] == [(5, today), (1, today)]


@pytest.mark.usefixtures("after_a_month")
async def test_it_leases_while_a_backup_reads(world: World, postgres_url: str) -> None:
    backup = await asyncpg.connect(postgres_url)
    try:
        async with backup.transaction():
            await backup.fetchval("SELECT count(*) FROM scheduler.audit")
            await _leases_again(world)
    finally:
        await backup.close()
