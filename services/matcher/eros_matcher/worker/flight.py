"""The one batch in flight: where each row stands. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from eros_common.ids import JobToken, UserId
from eros_matcher.worker.instructions import SendEnd
from eros_matcher.worker.jobs import HaltReason, Held, JobKind, Lease, LeasedBatch


class Stage(Enum):
    """What the parent still has to do for a row."""

    LEASED = "leased"
    """Its input is being prepared."""
    RUNNING = "running"
    READY = "ready"
    """Has a result or an error that waits for a transaction."""
    SETTLING = "settling"
    """That transaction is under way."""
    HALTED = "halted"
    """Its checkpoint is not durable yet."""
    ENDED = "ended"
    """Nothing: completed, failed, fenced or durably halted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A halt that waits for its acks."""

    nonce: str
    received_at: float


@dataclass(frozen=True, slots=True)
class Durable:
    """The row's end on the side of the database."""

    at: float
    token: JobToken
    was_running: bool


@dataclass(frozen=True, slots=True)
class Left:
    """The row's end on the side of the computation."""

    at: float
    killed: bool


@dataclass(slots=True)
class Row:
    """One leased job. `computing` while the child may touch it."""

    lease: Lease
    stage: Stage = Stage.LEASED
    computing: bool = False
    computed: bool = False
    """Was with the child at some time, so that its snapshot is newer than the lease's."""
    result: bytes | None = None
    error: str | None = None
    halt_reason: HaltReason | None = None
    submitted: bool = False
    """Its checkpoint is with the database."""
    asked: list[Asked] = field(default_factory=list)
    durable: Durable | None = None
    left: Left | None = None
    settled: bool = False
    """Committed: completed or, with an error, failed."""

    def ready(self, *, result: bytes | None = None, error: str | None = None) -> None:
        self.stage, self.result, self.error = Stage.READY, result, error


@dataclass(slots=True)
class Flight:
    """A leased batch until every row has ended and the child has closed it."""

    batch: LeasedBatch
    leased_at: float
    lease_until: float
    rows: dict[UserId, Row]
    preparing: bool = True
    closed: bool = True
    """The child is not at it: not offered yet, or over."""
    cpu_seconds: float = 0.0
    renew_at: float = 0.0

    @classmethod
    def begin(cls, batch: LeasedBatch, *, at: float, lease_until: float) -> Flight:
        rows = {lease.user_id: Row(lease) for lease in batch.leases}
        flight = cls(batch, at, lease_until, rows)
        flight.renewed(at, lease_until)
        return flight

    @property
    def kind(self) -> JobKind:
        return self.batch.kind

    def renewed(self, at: float, lease_until: float) -> None:
        """Ask again when a third of the time is gone."""
        self.lease_until = lease_until
        self.renew_at = at + max((lease_until - at) / 3, 0.5)

    def among(self, users: Iterable[UserId]) -> Iterator[Row]:
        return (self.rows[user] for user in users if user in self.rows)

    def of_jobs(self, jobs: Iterable[Held]) -> Iterator[tuple[Held, Row]]:
        """Those of the jobs that are ours, under the fence that we hold."""
        for job in jobs:
            row = self.rows.get(job.user_id)
            if row is not None and (job.kind, job.token) == (self.kind, row.lease.token):
                yield job, row

    def at_stage(self, *stages: Stage) -> list[Row]:
        return [row for row in self.rows.values() if row.stage in stages]

    def any_at(self, *stages: Stage) -> bool:
        return any(row.stage in stages for row in self.rows.values())

    def held(self) -> tuple[Held, ...]:
        """What has not ended, by its fence."""
        return tuple(
            Held(user, self.kind, row.lease.token)
            for user, row in self.rows.items()
            if row.stage is not Stage.ENDED
        )

    @property
    def over(self) -> bool:
        return self.closed and all(row.stage is Stage.ENDED for row in self.rows.values())

    def end(self, at: float) -> SendEnd:
        """The report; rows that were halted are not in it."""
        rows = [row for row in self.rows.values() if row.halt_reason is None]
        settled = [row for row in rows if row.settled]
        return SendEnd(
            batch_id=self.batch.batch_id,
            completed=tuple(row.lease.user_id for row in settled if row.error is None),
            failed=tuple(
                (row.lease.user_id, row.error) for row in settled if row.error is not None
            ),
            lost=tuple(row.lease.user_id for row in rows if not row.settled),
            seconds=at - self.leased_at,
            cpu_seconds=self.cpu_seconds,
        )
