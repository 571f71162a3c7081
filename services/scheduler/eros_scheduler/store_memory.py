"""The job rows in memory: for the simulator and the core's tests, held to the same tests as
PostgreSQL. One event loop's; nothing in it waits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from eros_common.ids import JobToken, UserId, WorkerId
from eros_common.phases import IdleThresholds, Phase, idle_phase
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import (
    RULES,
    HeldJob,
    JobKind,
    LeasedRow,
    OwnedJob,
    Transition,
    Zone,
)
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
from eros_scheduler.store_memory_fences import MemoryFences
from eros_scheduler.store_memory_table import Row, Table

WAITING: Final = timedelta(seconds=60)


class MemoryJobs:
    """`JobStore`, with the published functions as `fences`."""

    def __init__(
        self,
        idle: IdleThresholds,
        wall: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._table = Table(wall)
        self.fences = MemoryFences(self._table, jitter)
        self._thresholds = idle
        self._asleep = 0
        """People, by their row of the match."""
        seconds = (idle.phase1, idle.phase2, idle.phase3)
        self._idle = {kind: timedelta(seconds=seconds[RULES[kind].phase - 1]) for kind in RULES}

    def fill(self, rows: Iterable[Row]) -> None:
        """With rows as they stand."""
        for row in rows:
            self._table.add(row)

    async def claim(
        self, attempt: Attempt, *, owner: WorkerId, night: datetime, lease_seconds: float
    ) -> LeasedRows:
        now = self._table.wall()
        until = now + timedelta(seconds=lease_seconds)
        found: list[LeasedRow] = []
        while len(found) < attempt.limit:
            row = self._table.pop_ripe(attempt.kind, attempt.zones, night)
            if row is None:
                break
            if self._outdated(row, night):
                self._table.place(row)
                continue
            if self._blocked(row, night):
                row.state, row.back_at = JobState.WAITING, now + WAITING
            else:
                row.state, row.token = JobState.LEASED, JobToken(row.token + 1)
                row.owner, row.claimed_at, row.lease_until = owner, night, until
                found.append(row.leased_row())
            self._table.place(row)
        return LeasedRows(found, until.timestamp() if found else 0.0)

    def _outdated(self, row: Row, night: datetime) -> bool:
        """The person was matched since the row learned that the window does not count."""
        match = self._table.get(row.user_id, JobKind.MATCH)
        if row.kind >= JobKind.MATCH or match is None or not row.solo_at <= night < match.solo_at:
            return False
        row.solo_at = match.solo_at
        return True

    def _blocked(self, row: Row, night: datetime) -> bool:
        return any(
            other.state is JobState.LEASED
            or (
                other.kind < row.kind and other.due_at <= night and other.state is not JobState.DEAD
            )
            for other in self._table.people[row.user_id].values()
            if other is not row
        )

    async def renew(self, jobs: Sequence[HeldJob], *, lease_seconds: float) -> LeasedRows:
        until = self._table.wall() + timedelta(seconds=lease_seconds)
        live = [row for row in map(self._live, jobs) if row is not None]
        for row in live:
            row.lease_until = until
            self._table.place(row)
        return LeasedRows([row.leased_row() for row in live], until.timestamp() if live else 0.0)

    def _live(self, job: HeldJob) -> Row | None:
        row = self._table.get(job.user_id, job.kind)
        return row if row is not None and row.live(job.token) else None

    async def release(self, jobs: Sequence[HeldJob]) -> None:
        for job in jobs:
            await self.fences.checkpoint(
                [job.user_id], job.kind, [job.token], [None], reason="released"
            )

    async def fall_asleep(self, sleeps: Sequence[Transition]) -> None:
        for sleep in sleeps:
            rows = self._table.people.get(sleep.user_id, {})
            for row in rows.values():
                rested_at = sleep.at + self._idle[row.kind]
                if row.seen_at <= sleep.at and row.rested_at != rested_at:
                    self._asleep += row.kind is JobKind.MATCH and row.asleep_since is None
                    row.asleep_since = row.seen_at = sleep.at
                    row.rested_at, row.solo_at = rested_at, rows[JobKind.MATCH].solo_at
                    self._table.place(row)

    async def wake(self, wakes: Sequence[Transition]) -> Sequence[OwnedJob]:
        for wake in wakes:
            for row in self._table.people.get(wake.user_id, {}).values():
                if row.seen_at < wake.at:
                    row.seen_at = wake.at
                    self._wake(row)
        leased = (self._table.leased.get(wake.user_id) for wake in wakes)
        return [row.owned() for row in leased if row is not None]

    def _wake(self, row: Row) -> None:
        self._asleep -= row.kind is JobKind.MATCH and row.asleep_since is not None
        row.asleep_since = row.rested_at = None
        self._table.place(row)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SleepSnapshot]:
        yield _MemorySnapshot(self)

    async def wake_others(self, sleepers: set[UserId], known: datetime) -> list[OwnedJob]:
        """Whoever is not among the sleepers counts as awake, and as seen since they fell asleep, if
        that was by the time `known`; returns what is leased of theirs."""
        woken = [
            row
            for row in self._table.rows()
            if row.asleep_since is not None
            and row.kind is not JobKind.LEARN
            and row.user_id not in sleepers
        ]
        for row in woken:
            if row.asleep_since is not None and row.asleep_since <= known:
                row.seen_at = max(row.seen_at, row.asleep_since + datetime.resolution)
            self._wake(row)
        return [row.owned() for row in woken if row.state is JobState.LEASED]

    async def unheard(self, since: datetime) -> Sequence[UserId]:
        return [
            row.user_id
            for row in self._table.rows()
            if row.kind is JobKind.MATCH and row.asleep_since is None and row.seen_at < since
        ]

    async def tidy(self) -> None:
        """Nothing dead stays here."""

    async def take_expired(self, *, limit: int) -> Sequence[OwnedJob]:
        now = self._table.wall()
        for _ in range(limit):
            row = self._table.pop_aside(now)
            if row is None:
                break
            row.state, row.back_at = JobState.QUEUED, None
            self._table.place(row)
        taken: list[OwnedJob] = []
        while len(taken) < limit and (row := self._table.pop_expired(now)) is not None:
            taken.append(row.owned())
        await self.release([owned.job for owned in taken])
        return taken

    async def retry(self, *, user_id: UserId | None, kind: JobKind | None, limit: int) -> int:
        stuck = [
            row
            for row in self._table.rows()
            if row.state in {JobState.BACKING_OFF, JobState.DEAD}
            and (user_id is None or row.user_id == user_id)
            and (kind is None or row.kind is kind)
        ][:limit]
        for row in stuck:
            row.state, row.attempts, row.back_at = JobState.QUEUED, 0, None
            self._table.place(row)
        return len(stuck)

    async def cancel(
        self, user_id: UserId, *, kind: JobKind | None, why: str
    ) -> tuple[int, Sequence[OwnedJob]]:
        rows = [
            row
            for row in self._table.people.get(user_id, {}).values()
            if row.state is not JobState.DEAD and (kind is None or row.kind is kind)
        ]
        leased = [row.owned() for row in rows if row.state is JobState.LEASED]
        for row in rows:
            row.state, row.token, row.last_error = JobState.DEAD, JobToken(row.token + 1), why
            row.owner = row.lease_until = row.back_at = row.checkpoint = None
            self._table.place(row)
        self.fences.requeue_waiting([user_id])
        return len(rows), leased

    async def zones(self) -> Sequence[Zone]:
        return list(self._table.zones)

    async def asleep_share(self) -> float:
        return self._asleep / self._table.matches if self._table.matches else 0.0

    async def counts(
        self,
        *,
        night: datetime,
        caps: Mapping[Zone, Phase],
        over: Mapping[Zone, datetime],
    ) -> Counts:
        ready: Counter[JobKind] = Counter()
        running: Counter[JobKind] = Counter()
        dead: Counter[JobKind] = Counter()
        sleepers: Counter[Phase] = Counter()
        oldest: dict[JobKind, datetime] = {}
        day_people = day_ready = 0
        for row in self._table.rows():
            if row.kind is JobKind.MATCH and (over_at := over.get(row.zone)) is not None:
                done = row.due_at > night
                rested = row.rested_at is not None and row.rested_at <= over_at
                slept = row.due_at <= over_at and (rested or row.seen_at >= over_at)
                day_people += done or slept
                day_ready += done
            running[row.kind] += row.state is JobState.LEASED
            dead[row.kind] += row.state is JobState.DEAD
            if row.asleep_since is None or row.rested_at is None:
                continue
            solo = row.solo_at <= night
            cap = caps.get(row.zone, Phase.AWAKE)
            if row.state is JobState.QUEUED and max(row.due_at, row.rested_at) <= night:
                open_now = cap >= RULES[row.kind].phase
                ready[row.kind] += solo or open_now
                if solo or open_now:
                    ripe = max(row.due_at, row.rested_at)
                    since = ripe if open_now else max(ripe, row.solo_at)
                    oldest[row.kind] = min(since, oldest.get(row.kind, since))
            if row.kind is JobKind.MATCH:
                idle = idle_phase((night - row.asleep_since).total_seconds(), self._thresholds)
                sleepers[idle if solo else min(idle, cap)] += 1
        kinds = {
            kind: KindCount(ready[kind], running[kind], dead[kind], oldest.get(kind))
            for kind in RULES
        }
        return Counts(kinds, dict(sleepers), day_people, day_ready)

    async def jobs(
        self, *, user_id: UserId | None, states: frozenset[JobState], limit: int
    ) -> Sequence[JobView]:
        found = [
            row
            for row in self._table.rows()
            if (user_id is None or row.user_id == user_id) and (not states or row.state in states)
        ]
        found.sort(key=lambda row: (row.user_id, row.kind))
        return [row.view() for row in found[:limit]]


class _MemorySnapshot:
    """`SleepSnapshot`."""

    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs
        self._sleepers: set[UserId] = set()
        self._known_until = NOBODY_KNOWN

    async def add(self, sleepers: Sequence[Transition]) -> None:
        self._known_until = known_until(self._known_until, sleepers)
        await self._jobs.fall_asleep(sleepers)
        self._sleepers.update(sleeper.user_id for sleeper in sleepers)

    async def finish(self) -> Sequence[OwnedJob]:
        return await self._jobs.wake_others(self._sleepers, self._known_until)
