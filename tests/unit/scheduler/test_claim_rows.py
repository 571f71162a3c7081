"""A claim's rows, and the walk that makes claims cheap, in PostgreSQL's adapter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import asyncpg
import pytest

from eros_scheduler.store_postgres_claims import PostgresClaims
from eros_scheduler.store_postgres_rows import leased

AT = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def row(lease_until: datetime) -> Any:
    return {
        "user_id": uuid4(),
        "kind": 3,
        "token": 7,
        "zone": "Europe/Berlin",
        "solo_at": AT,
        "awake": False,
        "lease_until": lease_until,
    }


def test_rows_that_were_found_one_after_the_other_are_leased_until_the_first_lease_ends() -> None:
    found = leased([row(AT + timedelta(seconds=seconds)) for seconds in (31, 30, 49)])
    assert len(found.rows) == 3
    assert found.lease_until == (AT + timedelta(seconds=30)).timestamp()
    assert leased([]).lease_until == 0.0


class Failing:
    """A pool that has the zones, and then raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.asked = 0

    async def fetchval(self, *_: object) -> list[str]:
        return ["Europe/Berlin"]

    async def execute(self, *_: object) -> None:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (asyncpg.AdminShutdownError("terminating connection"), 1),
        (ConnectionResetError(), 1),
        # Of one kind there is more to walk over than there is time for.
        (asyncpg.QueryCanceledError("canceling statement due to statement timeout"), 5),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_walk_that_fails_tears_no_snapshot(error: Exception, asked: int) -> None:
    pool = Failing(error)
    await PostgresClaims(cast("asyncpg.Pool", pool), cast("asyncpg.Pool", None)).sweep()
    assert pool.asked == asked
