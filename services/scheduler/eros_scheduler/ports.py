"""What the scheduler asks of the outside. Every method raises `StoreUnavailableError` when the
database is not there; whether what was asked was done is not known then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, Protocol

from eros_common.ids import JobToken, UserId, WorkerId
from eros_common.phases import Phase
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import (
    HaltRecord,
    HeldJob,
    JobKind,
    LeasedRow,
    OwnedJob,
    Transition,
    Zone,
)


class StoreUnavailableError(Exception):
    """Worth the same try again."""


class JobState(StrEnum):
    """Where a job row stands; the values are those of the rows."""

    QUEUED = "q"
    LEASED = "l"
    WAITING = "w"
    BACKING_OFF = "b"
    DEAD = "x"


@dataclass(frozen=True, slots=True)
class LeasedRows:
    """`lease_until`, when the first of them ends, is the database's wall clock, seconds since 1970;
    0 without rows."""

    rows: Sequence[LeasedRow]
    lease_until: float


@dataclass(frozen=True, slots=True)
class JobView:
    """A job row as people look at it. `due_at` and `asleep_since` are night time."""

    user_id: UserId
    kind: JobKind
    state: JobState
    due_at: datetime | None
    """None: not before another job is done."""
    asleep_since: datetime | None
    lease_until: datetime | None
    owner: WorkerId | None
    attempts: int
    last_error: str | None
    zone: Zone
    token: JobToken
    has_checkpoint: bool
    rested_at: datetime | None
    """Night time: from then on the person has been idle long enough."""
    solo_at: datetime | None
    """Night time: from then on the window does not count; None: it always does."""
    back_at: datetime | None
    """Wall time: until then it is set aside."""
    last_halt: str | None


class AuditEvent(IntEnum):
    """What happened to a job; the numbers are those of the table."""

    LEASED = 1
    GIVEN_BACK = 2
    DONE = 3
    FAILED = 4
    EXPIRED = 5
    OUTDATED = 6
    RETRIED = 7
    CANCELLED = 8


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event of one person's job. `ms` since it was leased, `size` of the checkpoint kept."""

    at: datetime
    event: AuditEvent
    kind: JobKind
    token: JobToken
    worker: str
    why: str
    ms: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class KindCount:
    """Job rows of one kind: claimable now, leased, dead. ``oldest`` is since when the claimable one
    that waits the longest could have been claimed (night)."""

    ready: int
    running: int
    dead: int
    oldest: datetime | None = None

    def waited(self, night: datetime) -> float:
        """For how many night seconds it could have been claimed; 0 where there is none."""
        return 0.0 if self.oldest is None else max(0.0, (night - self.oldest).total_seconds())


@dataclass(frozen=True, slots=True)
class Counts:
    """`sleepers`: people asleep by the phase their work may run in. `day_people`: where it is day,
    those who slept in the night before and could have been matched; `day_ready`: who was."""

    kinds: Mapping[JobKind, KindCount]
    sleepers: Mapping[Phase, int]
    day_people: int = 0
    day_ready: int = 0


NOBODY_KNOWN: Final = datetime(1, 1, 2, tzinfo=UTC)
_ANNOUNCED: Final = timedelta(minutes=1)


def known_until(known: datetime, sleepers: Iterable[Transition]) -> datetime:
    """Sleepers are announced in the order in which they were seen last, give or take a little for
    the shards of activity. So everybody who was seen last by this time (night) and sleeps is among
    the sleepers, or woke while they were listed."""
    return max([known, *(sleeper.at - _ANNOUNCED for sleeper in sleepers)])


class SleepSnapshot(Protocol):
    """Everybody who sleeps, bit by bit; then whoever is not among them counts as awake, and as
    seen since the sleep that is known of them, if the snapshot would know of that one."""

    async def add(self, sleepers: Sequence[Transition]) -> None: ...

    async def finish(self) -> Sequence[OwnedJob]:
        """The leased rows of those who turned out to be awake."""
        ...


class JobStore(Protocol):
    """The job rows, one per person and kind."""

    async def claim(
        self, attempt: Attempt, *, owner: WorkerId, night: datetime, lease_seconds: float
    ) -> LeasedRows:
        """Lease rows of one kind that are due, of people idle long enough, in open zones or of
        whom the window does not hold back: nobody else's, at most `attempt.limit`, each with a
        raised token. Not those of whom an earlier kind is due or any kind is leased."""
        ...

    async def renew(self, jobs: Sequence[HeldJob], *, lease_seconds: float) -> LeasedRows:
        """Prolong the leases that are live; returns those."""
        ...

    async def release(self, jobs: Sequence[HeldJob]) -> None:
        """Give back what is live of these, under a new fence; checkpoints stay."""
        ...

    async def fall_asleep(self, sleeps: Sequence[Transition]) -> None:
        """These sleep since `at`, unless something newer is known of them."""
        ...

    async def wake(self, wakes: Sequence[Transition]) -> Sequence[OwnedJob]:
        """These are awake since `at`, unless something newer is known of them. Returns what is
        leased of theirs."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[SleepSnapshot]: ...

    async def unheard(self, since: datetime) -> Sequence[UserId]:
        """People who count as awake though nothing was heard of them since then (night time)."""
        ...

    async def tidy(self) -> None:
        """After a snapshot: take out of the way of claims what it left dead there. It may take a
        minute, and fails silently: claims get past it by themselves, slowly."""
        ...

    async def take_expired(self, *, limit: int) -> Sequence[OwnedJob]:
        """Back to the queue, under a new fence: leases that ran out, returned with their old
        fences; and what has waited or backed off long enough. At most `limit` of either."""
        ...

    async def retry(self, *, user_id: UserId | None, kind: JobKind | None, limit: int) -> int:
        """Back to the queue, as if they had never failed: the dead and those that back off, of one
        person or any, of one kind or any. How many; at most `limit`."""
        ...

    async def cancel(
        self, user_id: UserId, *, kind: JobKind | None, why: str
    ) -> tuple[int, Sequence[OwnedJob]]:
        """No more of these jobs of a person until they are retried or marked due: they are dead,
        for this reason, under a new fence. How many, and what was leased with the old fences."""
        ...

    async def zones(self) -> Sequence[Zone]:
        """Every zone that a job row ever had."""
        ...

    async def asleep_share(self) -> float:
        """The share of people that sleep, 0 to 1; of many people an estimate. Costs little."""
        ...

    async def counts(
        self,
        *,
        night: datetime,
        caps: Mapping[Zone, Phase],
        over: Mapping[Zone, datetime],
    ) -> Counts:
        """The night at a glance, by the phase that each zone's window allows and, where it is day,
        the end of the last night. Walks over everybody who sleeps: not to be asked all the time."""
        ...

    async def jobs(
        self, *, user_id: UserId | None, states: frozenset[JobState], limit: int
    ) -> Sequence[JobView]:
        """Rows to look at, of one person or of any; in one of these states, or in any when there
        are none."""
        ...


class Audit(Protocol):
    """What happened to which job. It is written by whatever makes it happen."""

    async def of(self, user_id: UserId, *, days: int, limit: int) -> Sequence[AuditEntry]:
        """One person's, newest first, of the last days. Reads all of those days: a second or so
        for a full night of a million people."""
        ...

    async def keep(self, *, days: int) -> int:
        """Prepare the days to come and forget what is older; how many partitions were dropped."""
        ...


class HaltLog(Protocol):
    """Every halt, for ever."""

    async def append(self, records: Sequence[HaltRecord]) -> None: ...

    async def latest(self, *, limit: int, user_id: UserId | None) -> Sequence[HaltRecord]:
        """Newest first."""
        ...
