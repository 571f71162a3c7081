"""The job rows of the memory store, and the queues that stand for the database's indexes."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from eros_common.ids import JobToken, UserId, WorkerId
from eros_scheduler.core.model import HeldJob, JobKind, LeasedRow, OwnedJob, Zone
from eros_scheduler.ports import JobState, JobView

NO_TOKEN: Final = JobToken(0)
ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
NEVER: Final = datetime.max.replace(tzinfo=UTC)


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
    window_key: datetime | None = None
    solo_key: datetime | None = None
    aside_key: datetime | None = None
    lease_key: datetime | None = None
    """Where the row stands in the table's queues: at or before where it belongs."""

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
        )

    def owned(self) -> OwnedJob:
        assert self.owner is not None
        return OwnedJob(self.job, self.owner)

    def view(self) -> JobView:
        return JobView(
            user_id=self.user_id,
            kind=self.kind,
            state=self.state,
            due_at=None if self.due_at == NEVER else self.due_at,
            asleep_since=self.asleep_since,
            lease_until=self.lease_until,
            owner=self.owner,
            attempts=self.attempts,
            last_error=self.last_error,
            zone=self.zone,
            token=self.token,
            has_checkpoint=self.checkpoint is not None,
            rested_at=self.rested_at,
            solo_at=None if self.solo_at == NEVER else self.solo_at,
            back_at=self.back_at,
            last_halt=self.last_halt,
        )


_Queue = list[tuple[datetime, int, UserId]]
_KindQueue = list[tuple[datetime, int, UserId, JobKind]]
_ASIDE: Final = (JobState.WAITING, JobState.BACKING_OFF)


class Table:
    """Rows by person and kind. After changing a row, `place` it. `wall` is the store's clock.

    A row is at most once in a queue, too early rather than too late: one that turns up before its
    time is put back to where it belongs. So whoever wakes and falls asleep all day costs nothing
    until the night, and what the queues hold is bounded by the rows.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self.wall = wall
        self.people: dict[UserId, dict[JobKind, Row]] = {}
        self.zones: dict[Zone, None] = {}
        self.matches = 0
        """Rows of the match, one a person."""
        self._window: dict[tuple[JobKind, Zone], _Queue] = defaultdict(list)
        self._solo: dict[JobKind, _Queue] = defaultdict(list)
        self._numbers = itertools.count()
        """In a queue, what became ripe at the same moment is in the order in which it came."""
        self._aside: _KindQueue = []
        self._leases: _KindQueue = []
        self.leased: dict[UserId, Row] = {}

    def rows(self) -> Iterator[Row]:
        for kinds in self.people.values():
            yield from kinds.values()

    def add(self, row: Row) -> None:
        self.people.setdefault(row.user_id, {})[row.kind] = row
        self.zones[row.zone] = None
        self.matches += row.kind is JobKind.MATCH
        self.place(row)

    def get(self, user_id: UserId, kind: JobKind) -> Row | None:
        kinds = self.people.get(user_id)
        return None if kinds is None else kinds.get(kind)

    def move(self, row: Row, zone: Zone) -> None:
        """To another zone; `place` it afterwards."""
        if row.zone != zone:
            row.zone, row.window_key = zone, None

    def place(self, row: Row) -> None:
        """Put a changed row where it is looked for."""
        if row.state is JobState.QUEUED:
            if row.rested_at is not None:
                self._queue(row, max(row.due_at, row.rested_at))
        elif row.state is JobState.LEASED:
            assert row.lease_until is not None
            self.leased[row.user_id] = row
            if row.lease_key is None or row.lease_until < row.lease_key:
                row.lease_key = row.lease_until
                entry = (row.lease_until, next(self._numbers), row.user_id, row.kind)
                heapq.heappush(self._leases, entry)
            return
        elif row.state in _ASIDE:
            assert row.back_at is not None
            if row.aside_key is None or row.back_at < row.aside_key:
                row.aside_key = row.back_at
                entry = (row.back_at, next(self._numbers), row.user_id, row.kind)
                heapq.heappush(self._aside, entry)
        if self.leased.get(row.user_id) is row:
            del self.leased[row.user_id]

    def _queue(self, row: Row, ripe: datetime) -> None:
        if row.window_key is None or ripe < row.window_key:
            row.window_key = ripe
            entry = (ripe, next(self._numbers), row.user_id)
            heapq.heappush(self._window[row.kind, row.zone], entry)
        solo = max(ripe, row.solo_at)
        if row.solo_key is None or solo < row.solo_key:
            row.solo_key = solo
            heapq.heappush(self._solo[row.kind], (solo, next(self._numbers), row.user_id))

    def pop_ripe(self, kind: JobKind, zones: tuple[Zone, ...], night: datetime) -> Row | None:
        """The next row to claim: of those the window does not hold back, then zone by zone."""
        queue = self._solo[kind]
        while queue and queue[0][0] <= night:
            key, _, user_id = heapq.heappop(queue)
            row = self.people[user_id][kind]
            if row.solo_key == key:
                row.solo_key = None
                if self._ripe(row, row.solo_at, night):
                    return row
        for zone in zones:
            queue = self._window[kind, zone]
            while queue and queue[0][0] <= night:
                key, _, user_id = heapq.heappop(queue)
                row = self.people[user_id][kind]
                if row.window_key == key and row.zone == zone:
                    row.window_key = None
                    if self._ripe(row, ALWAYS, night):
                        return row
        return None

    def _ripe(self, row: Row, solo_at: datetime, night: datetime) -> bool:
        """Whether a row that turned up may be claimed; if it came too early, it is put back."""
        if row.state is not JobState.QUEUED or row.rested_at is None:
            return False
        ripe = max(row.due_at, row.rested_at)
        if max(ripe, solo_at) > night:
            self._queue(row, ripe)
            return False
        return True

    def pop_aside(self, now: datetime) -> Row | None:
        """The next row whose time aside is over."""
        while self._aside and self._aside[0][0] <= now:
            key, _, user_id, kind = heapq.heappop(self._aside)
            row = self.people[user_id][kind]
            if row.aside_key != key:
                continue
            row.aside_key = None
            if row.state in _ASIDE:
                assert row.back_at is not None
                if row.back_at <= now:
                    return row
                self.place(row)
        return None

    def pop_expired(self, now: datetime) -> Row | None:
        """The next row whose lease ran out."""
        while self._leases and self._leases[0][0] <= now:
            key, _, user_id, kind = heapq.heappop(self._leases)
            row = self.people[user_id][kind]
            if row.lease_key != key:
                continue
            row.lease_key = None
            if row.state is JobState.LEASED:
                assert row.lease_until is not None
                if row.lease_until <= now:
                    return row
                self.place(row)
        return None
