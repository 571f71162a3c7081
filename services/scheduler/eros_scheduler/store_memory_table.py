"""The job rows of the memory store, and the queues that stand for the database's indexes."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from eros_common.ids import JobToken, UserId, WorkerId
from eros_scheduler.core.model import RULES, HeldJob, JobKind, LeasedRow, OwnedJob, Zone
from eros_scheduler.ports import JobState, JobView

NO_TOKEN: Final = JobToken(0)
ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
KINDS: Final = tuple(sorted(RULES))


@dataclass(slots=True)
class Row:
    """One job row; see the migration for what its columns mean."""

    user_id: UserId
    kind: JobKind
    zone: Zone
    due_at: datetime
    state: JobState = JobState.QUEUED
    attempts: int = 0
    token: JobToken = NO_TOKEN
    asleep_since: datetime | None = None
    rested_at: datetime | None = None
    seen_at: datetime = ALWAYS
    solo_at: datetime = ALWAYS
    claimed_at: datetime | None = None
    lease_until: datetime | None = None
    back_at: datetime | None = None
    owner: WorkerId | None = None
    last_error: str | None = None
    last_halt: str | None = None
    checkpoint: bytes | None = None
    version: int = 0
    """Raised by every change of place; what a queue remembers of older ones is void."""

    @property
    def job(self) -> HeldJob:
        return HeldJob(self.user_id, self.kind, self.token)

    def live(self, token: JobToken) -> bool:
        return self.state is JobState.LEASED and self.token == token

    def leased_row(self) -> LeasedRow:
        return LeasedRow(
            user_id=self.user_id,
            kind=self.kind,
            token=self.token,
            zone=self.zone,
            solo_at=self.solo_at,
            awake=self.asleep_since is None,
            checkpoint=self.checkpoint,
        )

    def owned(self) -> OwnedJob:
        assert self.owner is not None
        return OwnedJob(self.job, self.owner)

    def view(self) -> JobView:
        return JobView(
            user_id=self.user_id,
            kind=self.kind,
            state=self.state,
            due_at=self.due_at,
            asleep_since=self.asleep_since,
            lease_until=self.lease_until,
            owner=self.owner,
            attempts=self.attempts,
            last_error=self.last_error,
            zone=self.zone,
            token=self.token,
            has_checkpoint=self.checkpoint is not None,
        )


_Queue = list[tuple[datetime, UserId, int]]


class Table:
    """Rows by person and kind. After changing a row, `place` it. `wall` is the store's clock."""

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self.wall = wall
        self.people: dict[UserId, dict[JobKind, Row]] = {}
        self.zones: dict[Zone, None] = {}
        self._window: dict[tuple[JobKind, Zone], _Queue] = defaultdict(list)
        self._solo: dict[JobKind, _Queue] = defaultdict(list)
        self._aside: list[tuple[datetime, UserId, int, JobKind]] = []
        self.leased: dict[UserId, Row] = {}

    def rows(self) -> Iterator[Row]:
        for kinds in self.people.values():
            yield from kinds.values()

    def add(self, row: Row) -> None:
        self.people.setdefault(row.user_id, {})[row.kind] = row
        self.zones[row.zone] = None
        self.place(row)

    def get(self, user_id: UserId, kind: JobKind) -> Row | None:
        return self.people.get(user_id, {}).get(kind)

    def place(self, row: Row) -> None:
        """Put a changed row where it is looked for."""
        row.version += 1
        if self.leased.get(row.user_id) is row and row.state is not JobState.LEASED:
            del self.leased[row.user_id]
        match row.state:
            case JobState.QUEUED if row.rested_at is not None:
                ripe = max(row.due_at, row.rested_at)
                entry = (row.user_id, row.version)
                heapq.heappush(self._window[row.kind, row.zone], (ripe, *entry))
                heapq.heappush(self._solo[row.kind], (max(ripe, row.solo_at), *entry))
            case JobState.LEASED:
                self.leased[row.user_id] = row
            case JobState.WAITING | JobState.BACKING_OFF:
                assert row.back_at is not None
                heapq.heappush(self._aside, (row.back_at, row.user_id, row.version, row.kind))
            case JobState.QUEUED | JobState.DEAD:
                """Nobody looks for it."""

    def pop_ripe(self, kind: JobKind, zones: tuple[Zone, ...], night: datetime) -> Row | None:
        """The next row to claim: of those the window does not hold back, then zone by zone."""
        for queue in (self._solo[kind], *(self._window[kind, zone] for zone in zones)):
            while queue and queue[0][0] <= night:
                _, user_id, version = heapq.heappop(queue)
                row = self.get(user_id, kind)
                if row is not None and row.version == version:
                    return row
        return None

    def pop_aside(self, now: datetime) -> Row | None:
        """The next row whose time aside is over."""
        while self._aside and self._aside[0][0] <= now:
            _, user_id, version, kind = heapq.heappop(self._aside)
            row = self.get(user_id, kind)
            if row is not None and row.version == version:
                return row
        return None
