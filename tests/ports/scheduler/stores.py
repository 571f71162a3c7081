"""Both stores of job rows behind one face, for tests."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from eros_common import postgres
from eros_common.ids import JobToken, UserId, WorkerId
from eros_common.phases import IdleThresholds
from eros_common.testing import FakeClock
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import JobKind, LeasedRow, Transition, TransitionKind, Zone
from eros_scheduler.ports import JobStore, JobView
from eros_scheduler.store_memory import MemoryJobs
from eros_scheduler.store_postgres import PostgresJobs
from eros_scheduler.store_postgres_claims import claims_pool

IDLE = IdleThresholds(600, 1800, 3600)
BERLIN = Zone("Europe/Berlin")
TOKYO = Zone("Asia/Tokyo")
DUE = datetime(2026, 1, 1, 22, tzinfo=UTC)
NIGHT = datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
"""All of Berlin's phases are open."""
NEXT = datetime(2026, 1, 2, 22, tzinfo=UTC)
WORKER = WorkerId("w-1")
ANALYZE, SCORE, MATCH = JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH
PREPARE, LEARN = JobKind.PREPARE, JobKind.LEARN


def person(number: int) -> UserId:
    return UserId(UUID(int=number))


class Fences(Protocol):
    """The published functions."""

    async def mark_due(
        self, users: Sequence[UserId], zones: Sequence[Zone], kind: JobKind, now: datetime
    ) -> None: ...

    async def hold(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, JobToken]: ...

    async def checkpoint(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        checkpoints: Sequence[bytes | None],
        reason: str,
    ) -> dict[UserId, JobToken]: ...

    async def checkpoints(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, bytes]: ...

    async def complete(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        due_at: Sequence[datetime],
    ) -> set[UserId]: ...

    async def add_learner(self, learner: int) -> None: ...

    async def fail(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        errors: Sequence[str],
    ) -> dict[UserId, bool]: ...


class Stores:
    """A store, its published functions, and the few moves that tests make again and again."""

    def __init__(self, jobs: JobStore, fences: Fences) -> None:
        self.jobs = jobs
        self.fences = fences
        self._people = itertools.count(1)

    async def wait(self, seconds: float) -> None:
        """Let the store's wall clock go on."""
        raise NotImplementedError

    async def due(
        self, count: int = 1, zone: Zone = BERLIN, at: datetime = DUE, kind: JobKind = ANALYZE
    ) -> list[UserId]:
        """New people, all of whose jobs are due."""
        people = [person(next(self._people)) for _ in range(count)]
        await self.fences.mark_due(people, [zone] * count, kind, at)
        return people

    async def asleep(
        self, count: int = 1, zone: Zone = BERLIN, since: datetime = DUE
    ) -> list[UserId]:
        """New people, all of whose jobs are due and who sleep since then."""
        people = await self.due(count, zone)
        await self.sleep(people, since)
        return people

    async def served(self, count: int = 1, zone: Zone = BERLIN) -> list[UserId]:
        """Asleep, all due, and matched within the last day: the window counts for them."""
        day_before = DUE - timedelta(days=1)
        people = await self.due(count, zone, day_before)
        await self.sleep(people, day_before)
        before = DUE - timedelta(hours=1)
        for kind in (ANALYZE, SCORE, MATCH):
            rows = await self.claim(kind, night=before, zones=())
            assert {row.user_id for row in rows} == set(people), "only people as wanted may be here"
            await self.complete(rows, DUE)
        await self.complete(await self.claim(PREPARE, night=before, zones=()))
        await self.sleep(people, DUE)
        return people

    async def sleep(self, people: Sequence[UserId], since: datetime) -> None:
        moves = [Transition(user, TransitionKind.ASLEEP, since) for user in people]
        await self.jobs.fall_asleep(moves)

    async def wake(self, people: Sequence[UserId], at: datetime) -> Any:
        return await self.jobs.wake([Transition(p, TransitionKind.WOKE, at) for p in people])

    async def claim(
        self,
        kind: JobKind,
        *,
        night: datetime = NIGHT,
        zones: tuple[Zone, ...] = (BERLIN,),
        limit: int = 100,
        owner: WorkerId = WORKER,
        lease_seconds: float = 30.0,
    ) -> Sequence[LeasedRow]:
        found = await self.jobs.claim(
            Attempt(kind, zones, limit), owner=owner, night=night, lease_seconds=lease_seconds
        )
        return found.rows

    async def complete(self, rows: Sequence[LeasedRow], due_at: datetime = NEXT) -> set[UserId]:
        if not rows:
            return set()
        users, tokens = [row.user_id for row in rows], [row.token for row in rows]
        return await self.fences.complete(users, rows[0].kind, tokens, [due_at] * len(rows))

    async def kept(self, row: LeasedRow) -> bytes | None:
        """Where whoever leased it goes on."""
        found = await self.fences.checkpoints([row.user_id], row.kind, [row.token])
        return found.get(row.user_id)

    async def row(self, user_id: UserId, kind: JobKind) -> JobView:
        rows = await self.jobs.jobs(user_id=user_id, states=frozenset(), limit=10)
        (found,) = (row for row in rows if row.kind is kind)
        return found


class MemoryStores(Stores):
    def __init__(self) -> None:
        self._clock = FakeClock()
        jobs = MemoryJobs(IDLE, self._clock.wall)
        super().__init__(jobs, jobs.fences)

    async def wait(self, seconds: float) -> None:
        self._clock.advance(seconds)


class PostgresStores(Stores):
    def __init__(self, pool: asyncpg.Pool, claims: asyncpg.Pool, admin: asyncpg.Connection) -> None:
        self.pool = pool
        self.claims = claims
        self.admin = admin
        super().__init__(PostgresJobs(pool, claims, IDLE), PostgresFences(admin))

    async def wait(self, seconds: float) -> None:
        """The database's clock does not obey: its rows' instants move the other way."""
        await self.pool.execute(
            """
            UPDATE scheduler.jobs j SET lease_until = lease_until - $1 * interval '1 second',
                back_at = back_at - $1 * interval '1 second'
            FROM (
                SELECT user_id, kind FROM scheduler.jobs WHERE state IN ('l', 'w', 'b')
                ORDER BY user_id, kind FOR UPDATE
            ) r
            WHERE j.user_id = r.user_id AND j.kind = r.kind
            """,
            seconds,
        )


class PostgresFences:
    """The functions, each called in the role of who calls it in production."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def _as(self, role: str, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._connection.transaction():
            await self._connection.execute(f"SET LOCAL ROLE {role}")
            return await self._connection.fetch(query, *arguments)

    async def mark_due(
        self, users: Sequence[UserId], zones: Sequence[Zone], kind: JobKind, now: datetime
    ) -> None:
        query = "SELECT scheduler.mark_due($1, $2, $3, $4)"
        await self._as("eros_accounts", query, users, zones, kind, now)

    async def hold(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, JobToken]:
        query = "SELECT * FROM scheduler.hold($1, $2, $3)"
        rows = await self._as("eros_matcher", query, users, kind, tokens)
        return {row["user_id"]: row["token"] for row in rows}

    async def checkpoint(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        checkpoints: Sequence[bytes | None],
        reason: str,
    ) -> dict[UserId, JobToken]:
        query = "SELECT * FROM scheduler.checkpoint($1, $2, $3, $4, $5)"
        rows = await self._as("eros_matcher", query, users, kind, tokens, checkpoints, reason)
        return {row["user_id"]: row["token"] for row in rows}

    async def checkpoints(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, bytes]:
        query = "SELECT * FROM scheduler.checkpoints($1, $2, $3)"
        rows = await self._as("eros_matcher", query, users, kind, tokens)
        return {row["user_id"]: row["checkpoint"] for row in rows}

    async def complete(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        due_at: Sequence[datetime],
    ) -> set[UserId]:
        query = "SELECT * FROM scheduler.complete($1, $2, $3, $4)"
        rows = await self._as("eros_matcher", query, users, kind, tokens, due_at)
        return {row["user_id"] for row in rows}

    async def add_learner(self, learner: int) -> None:
        await self._as("eros_scheduler", "SELECT scheduler.add_learner($1)", learner)

    async def fail(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        errors: Sequence[str],
    ) -> dict[UserId, bool]:
        query = "SELECT * FROM scheduler.fail($1, $2, $3, $4)"
        rows = await self._as("eros_matcher", query, users, kind, tokens, errors)
        return {row["user_id"]: row["dead"] for row in rows}


@asynccontextmanager
async def postgres_stores(url: str) -> AsyncIterator[PostgresStores]:
    """On an emptied database."""
    admin = await asyncpg.connect(url)
    try:
        await admin.execute(
            "TRUNCATE scheduler.jobs, scheduler.zones, scheduler.halts, scheduler.audit"
        )
        async with (
            postgres.open_pool(url, role="eros_scheduler", app="scheduler-test") as pool,
            claims_pool(url, app="claims-test", size=10) as claims,
        ):
            yield PostgresStores(pool, claims, admin)
    finally:
        await admin.close()
