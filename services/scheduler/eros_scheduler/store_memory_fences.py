"""The published functions of the job rows, in memory: what accounts and workers call."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from eros_common.ids import JobToken, UserId
from eros_common.phases import STARVED_AFTER
from eros_scheduler.core.model import ANYWHERE, PERSONAL, JobKind, Zone
from eros_scheduler.ports import JobState
from eros_scheduler.store_memory_table import NEVER, Row, Table

ATTEMPTS_MOST: Final = 5
EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FIRST_BACK_OFF: Final = timedelta(seconds=30)
_LONGEST_BACK_OFF: Final = timedelta(hours=1)


class MemoryFences:
    """As the functions of the same names in the migration."""

    def __init__(self, table: Table, jitter: Callable[[], float] = random.random) -> None:
        self._table = table
        self._jitter = jitter

    async def mark_due(
        self, users: Sequence[UserId], zones: Sequence[Zone], kind: JobKind, now: datetime
    ) -> None:
        if kind not in PERSONAL:
            raise ValueError(f"no such kind of job: {kind}")
        for user_id, zone in zip(users, zones, strict=True):
            self._table.zones[zone] = None
            for each in PERSONAL:
                row = self._table.get(user_id, each)
                if row is None:
                    later = each is JobKind.PREPARE and kind is not JobKind.PREPARE
                    self._table.add(Row(user_id, each, zone, NEVER if later else now))
                    continue
                self._table.move(row, zone)
                if each == kind:
                    self._mark(row, now)
                self._table.place(row)

    def _mark(self, row: Row, now: datetime) -> None:
        row.due_at = min(row.due_at, now)
        row.solo_at = self._table.people[row.user_id][JobKind.MATCH].solo_at
        if row.state is JobState.LEASED:
            row.token = JobToken(row.token + 1)
        if row.state is not JobState.WAITING:
            row.state, row.back_at = JobState.QUEUED, None
        row.attempts = 0
        row.checkpoint = row.owner = row.lease_until = None

    async def hold(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, JobToken]:
        return {row.user_id: row.token for row, _ in self._live(users, kind, tokens)}

    async def checkpoint(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        checkpoints: Sequence[bytes | None],
        reason: str,
    ) -> dict[UserId, JobToken]:
        raised: dict[UserId, JobToken] = {}
        for row, index in self._live(users, kind, tokens):
            if (data := checkpoints[index]) is not None:
                row.checkpoint = data
            row.last_halt = reason
            raised[row.user_id] = self._give_up(row, JobState.QUEUED)
        self.requeue_waiting(users)
        return raised

    async def checkpoints(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> dict[UserId, bytes]:
        found = ((row.user_id, row.checkpoint) for row, _ in self._live(users, kind, tokens))
        return {user_id: kept for user_id, kept in found if kept is not None}

    async def complete(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        due_at: Sequence[datetime],
    ) -> set[UserId]:
        done: set[UserId] = set()
        for row, index in self._live(users, kind, tokens):
            assert row.claimed_at is not None
            row.due_at = NEVER if kind is JobKind.PREPARE else due_at[index]
            if kind in (JobKind.MATCH, JobKind.PREPARE):
                row.solo_at = row.claimed_at + STARVED_AFTER
            if kind is JobKind.MATCH:
                self._prepare(row.user_id, row.claimed_at)
            row.attempts, row.checkpoint, row.last_error = 0, None, None
            row.state, row.owner, row.lease_until = JobState.QUEUED, None, None
            self._table.place(row)
            done.add(row.user_id)
        self.requeue_waiting(users)
        return done

    def _prepare(self, user_id: UserId, now: datetime) -> None:
        row = self._table.people[user_id][JobKind.PREPARE]
        if row.due_at > now:
            row.due_at = now
            self._table.place(row)

    async def add_learner(self, learner: int) -> None:
        user_id, zone = UserId(UUID(int=learner)), ANYWHERE
        if self._table.get(user_id, JobKind.LEARN) is None:
            row = Row(user_id, JobKind.LEARN, zone, EPOCH, solo_at=NEVER, seen_at=NEVER)
            row.asleep_since = row.rested_at = EPOCH
            self._table.add(row)

    async def fail(
        self,
        users: Sequence[UserId],
        kind: JobKind,
        tokens: Sequence[JobToken],
        errors: Sequence[str],
    ) -> dict[UserId, bool]:
        """Whether each is dead now."""
        dead: dict[UserId, bool] = {}
        for row, index in self._live(users, kind, tokens):
            wait = min(_FIRST_BACK_OFF * 2**row.attempts, _LONGEST_BACK_OFF)
            row.attempts += 1
            row.last_error, row.checkpoint = errors[index][:500], None
            dead[row.user_id] = row.attempts >= ATTEMPTS_MOST
            if dead[row.user_id]:
                self._give_up(row, JobState.DEAD)
            else:
                row.back_at = self._table.wall() + wait * (0.75 + 0.5 * self._jitter())
                self._give_up(row, JobState.BACKING_OFF)
        self.requeue_waiting(users)
        return dead

    def requeue_waiting(self, users: Sequence[UserId]) -> None:
        for user_id in users:
            for row in self._table.people.get(user_id, {}).values():
                if row.state is JobState.WAITING:
                    row.state, row.back_at = JobState.QUEUED, None
                    self._table.place(row)

    def _live(
        self, users: Sequence[UserId], kind: JobKind, tokens: Sequence[JobToken]
    ) -> Iterator[tuple[Row, int]]:
        for index, (user_id, token) in enumerate(zip(users, tokens, strict=True)):
            row = self._table.get(user_id, kind)
            if row is not None and row.live(token):
                yield row, index

    def _give_up(self, row: Row, state: JobState) -> JobToken:
        row.state, row.token = state, JobToken(row.token + 1)
        row.owner = row.lease_until = None
        self._table.place(row)
        return row.token
