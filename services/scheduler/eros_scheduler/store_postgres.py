"""The job rows in PostgreSQL, in the role `eros_scheduler`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

from eros_common.ids import UserId, WorkerId
from eros_common.phases import IdleThresholds, Phase
from eros_scheduler import sql_jobs, sql_reports
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import RULES, HeldJob, JobKind, OwnedJob, Transition, Zone
from eros_scheduler.ports import (
    NOBODY_KNOWN,
    Counts,
    JobState,
    JobView,
    KindCount,
    LeasedRows,
    SleepSnapshot,
    known_until,
)
from eros_scheduler.store_postgres_claims import PostgresClaims
from eros_scheduler.store_postgres_rows import leased, owned, unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

ASLEEP_SAMPLE = 20_000
"""Rows that are looked at for the share of people who sleep."""
SNAPSHOT_TIMEOUT_SECONDS = 120.0
_PATIENCE = f"SET LOCAL statement_timeout = {round(SNAPSHOT_TIMEOUT_SECONDS * 1000)}"
"""For what walks over all job rows."""


class PostgresJobs:
    """`JobStore`. `claims`: `claims_pool`. `idle`: from how many idle seconds each phase holds."""

    def __init__(self, pool: asyncpg.Pool, claims: asyncpg.Pool, idle: IdleThresholds) -> None:
        self._pool = pool
        self._claims = PostgresClaims(pool, claims)
        self._phase_seconds = [idle.phase1, idle.phase2, idle.phase3]
        self._idle = [self._phase_seconds[RULES[kind].phase - 1] for kind in sorted(RULES)]

    async def claim(
        self, attempt: Attempt, *, owner: WorkerId, night: datetime, lease_seconds: float
    ) -> LeasedRows:
        return await self._claims.claim(
            attempt, owner=owner, night=night, lease_seconds=lease_seconds
        )

    async def renew(self, jobs: Sequence[HeldJob], *, lease_seconds: float) -> LeasedRows:
        with unavailable():
            rows = await self._pool.fetch(
                sql_jobs.RENEW,
                [job.user_id for job in jobs],
                [job.kind for job in jobs],
                [job.token for job in jobs],
                lease_seconds,
            )
        return leased(rows)

    async def release(self, jobs: Sequence[HeldJob]) -> None:
        by_kind: dict[JobKind, list[HeldJob]] = defaultdict(list)
        for job in jobs:
            by_kind[job.kind].append(job)
        with unavailable():
            for kind, group in by_kind.items():
                users, tokens = [job.user_id for job in group], [job.token for job in group]
                await self._pool.execute(sql_jobs.RELEASE, users, kind, tokens)

    async def fall_asleep(self, sleeps: Sequence[Transition]) -> None:
        with unavailable():
            users, times = [s.user_id for s in sleeps], [s.at for s in sleeps]
            await self._pool.execute(sql_jobs.FALL_ASLEEP, users, times, self._idle)

    async def wake(self, wakes: Sequence[Transition]) -> Sequence[OwnedJob]:
        users, times = [w.user_id for w in wakes], [w.at for w in wakes]
        with unavailable():
            await self._pool.execute(sql_jobs.WAKE, users, times)
            # A statement of its own, so that it sees what was claimed while the first one waited.
            return owned(await self._pool.fetch(sql_jobs.LEASED_OF, users))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SleepSnapshot]:
        with unavailable():
            connection = await self._pool.acquire()
        try:
            with unavailable():
                await connection.execute(sql_jobs.SNAPSHOT_OVER)
                await connection.execute(sql_jobs.SNAPSHOT)
            yield _PostgresSnapshot(self, connection)
        finally:
            await self._pool.release(connection)

    async def unheard(self, since: datetime) -> Sequence[UserId]:
        with unavailable():
            async with self._pool.acquire() as connection, connection.transaction(readonly=True):
                await connection.execute(_PATIENCE)
                rows = await connection.fetch(
                    sql_jobs.UNHEARD, since, timeout=SNAPSHOT_TIMEOUT_SECONDS
                )
        return [UserId(row["user_id"]) for row in rows]

    async def tidy(self) -> None:
        await self._claims.sweep()

    async def take_expired(self, *, limit: int) -> Sequence[OwnedJob]:
        with unavailable():
            await self._pool.execute(sql_jobs.BRING_BACK, limit)
            taken = await self._pool.fetch(sql_jobs.TAKE_EXPIRED, limit)
            if taken:
                users = [row["user_id"] for row in taken]
                await self._pool.execute(sql_jobs.REQUEUE_WAITING, users)
        return owned(taken)

    async def retry(self, *, user_id: UserId | None, kind: JobKind | None, limit: int) -> int:
        with unavailable():
            return int(await self._pool.fetchval(sql_jobs.RETRY, user_id, kind, limit))

    async def cancel(
        self, user_id: UserId, *, kind: JobKind | None, why: str
    ) -> tuple[int, Sequence[OwnedJob]]:
        with unavailable():
            rows = await self._pool.fetch(sql_jobs.CANCEL, user_id, kind, why)
            await self._pool.execute(sql_jobs.REQUEUE_WAITING, [user_id])
        return len(rows), owned([row for row in rows if row["owner"] is not None])

    async def zones(self) -> Sequence[Zone]:
        with unavailable():
            return [Zone(row["zone"]) for row in await self._pool.fetch(sql_jobs.ZONES)]

    async def asleep_share(self) -> float:
        with unavailable():
            rows = await self._pool.fetchval(sql_reports.ROWS_ROUGHLY)
            percent = min(100.0, 100.0 * ASLEEP_SAMPLE / max(1.0, rows))
            return float(await self._pool.fetchval(sql_reports.ASLEEP_SHARE, percent))

    async def counts(
        self,
        *,
        night: datetime,
        caps: Mapping[Zone, Phase],
        over: Mapping[Zone, datetime],
    ) -> Counts:
        zones, values = list(caps), list(caps.values())
        phases = [rule.phase for rule in RULES.values()]
        with unavailable():
            kinds = await self._pool.fetch(
                sql_reports.KIND_COUNTS, night, zones, values, list(RULES), phases
            )
            sleepers = await self._pool.fetch(
                sql_reports.SLEEPERS, night, zones, values, self._phase_seconds
            )
            [day] = await self._pool.fetch(sql_reports.DAY, night, list(over), list(over.values()))
        return Counts(
            {
                JobKind(r["kind"]): KindCount(r["ready"], r["running"], r["dead"], r["oldest"])
                for r in kinds
            },
            {Phase(r["phase"]): r["people"] for r in sleepers},
            day_people=day["people"],
            day_ready=day["ready"],
        )

    async def jobs(
        self, *, user_id: UserId | None, states: frozenset[JobState], limit: int
    ) -> Sequence[JobView]:
        where = ["true"]
        arguments: list[object] = [limit]
        if user_id is not None:
            where.append("user_id = $2")
            arguments.append(user_id)
        if states:
            where.append("state IN ({})".format(", ".join(f"'{state.value}'" for state in states)))
        query = sql_reports.JOBS.format(where=" AND ".join(where))
        with unavailable():
            rows = await self._pool.fetch(query, *arguments)
        return [
            JobView(
                **dict(row)
                | {
                    "kind": JobKind(row["kind"]),
                    "state": JobState(row["state"]),
                    "solo_at": row["solo_at"] and row["solo_at"].replace(tzinfo=UTC),
                }
            )
            for row in rows
        ]


class _PostgresSnapshot:
    """`SleepSnapshot`: who sleeps goes to a table that only this connection sees."""

    def __init__(self, jobs: PostgresJobs, connection: PoolConnectionProxy) -> None:
        self._jobs = jobs
        self._connection = connection
        self._known_until = NOBODY_KNOWN

    async def add(self, sleepers: Sequence[Transition]) -> None:
        self._known_until = known_until(self._known_until, sleepers)
        await self._jobs.fall_asleep(sleepers)
        with unavailable():
            await self._connection.copy_records_to_table(
                "sleepers", records=[(sleeper.user_id,) for sleeper in sleepers]
            )

    async def finish(self) -> Sequence[OwnedJob]:
        with unavailable():
            async with self._connection.transaction():
                await self._connection.execute(_PATIENCE)
                rows = await self._connection.fetch(
                    sql_jobs.WAKE_OTHERS,
                    self._known_until,
                    timeout=SNAPSHOT_TIMEOUT_SECONDS,
                )
                await self._connection.execute(sql_jobs.SNAPSHOT_OVER)
        return owned(rows)
