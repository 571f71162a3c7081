"""Small schedules for the fence: a worker freezes past its lease, its job goes to another and is
finished there, and then it thaws, with writes that it had sent and writes that it still means to.

Everything else is left out, so that thousands of orders are tried in a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Final

from eros_cli.simulation.database import result_of
from eros_cli.simulation.town import person
from eros_common.ids import BatchId, JobToken, UserId, WorkerId
from eros_common.phases import IdleThresholds
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.core import WorkerCore
from eros_matcher.worker.jobs import HaltReason, Held, Lease, LeasedBatch, PreparedBatch
from eros_matcher.worker.jobs import JobKind as WorkKind
from eros_scheduler.core.instructions import Attempt
from eros_scheduler.core.model import JobKind, LeasedRow, Transition, TransitionKind, Zone
from eros_scheduler.store_memory import MemoryJobs

_LEASE_SECONDS: Final = 30.0
_NIGHT: Final = datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
_NEXT: Final = datetime(2026, 1, 2, 22, tzinfo=UTC)
_KIND: Final = JobKind.ANALYZE
_IDLE: Final = IdleThresholds()


@dataclass(slots=True)
class FenceReport:
    """`stale`: writes accepted of a worker that no longer held the job. `refused`: writes that
    came too late, as they were to. `done`: completions, one a schedule. `unfinished`: jobs that
    are still due in the end."""

    schedules: int = 0
    stale: int = 0
    refused: int = 0
    done: int = 0
    unfinished: int = 0


def run(schedules: int, seed: int) -> FenceReport:
    """Seeded one by one: the same seed tries the same orders."""
    report = FenceReport()
    for number in range(schedules):
        _Schedule(Random(seed * 1_000_003 + number), report).run()
    return report


class _Schedule:
    """One person, one job, two workers or more."""

    def __init__(self, random: Random, report: FenceReport) -> None:
        self.random = random
        self.report = report
        self.wall = 1_000_000.0
        self.jobs = MemoryJobs(_IDLE, lambda: datetime.fromtimestamp(self.wall, UTC))
        self.holder: str = ""
        self.user: UserId = person(0)
        report.schedules += 1

    def run(self) -> None:
        result_of(self.jobs.fences.mark_due([self.user], [Zone("")], _KIND, _NIGHT))
        slept = Transition(self.user, TransitionKind.ASLEEP, _NIGHT - timedelta(hours=8))
        result_of(self.jobs.fall_asleep([slept]))
        frozen = self._claim("frozen")
        assert frozen is not None
        for _ in range(self.random.randrange(6)):
            frozen.step(writes=False)
        self.wall += _LEASE_SECONDS + self.random.random()
        assert result_of(self.jobs.take_expired(limit=10))
        workers = [frozen]
        for number in range(20):
            # Some let go half-way, and another one takes up their checkpoint.
            other = self._claim(f"other {number}")
            if other is None:
                break
            workers.append(other)
            other.gives_up = number < 2 and self.random.random() < 0.3
            while other.core.flight is not None:
                self.random.choice(workers).step()
        moving = True
        while moving:
            # Whatever is still under way ends, too.
            moving = sum(worker.step() for worker in workers) > 0
        self.wall += 1
        self.report.unfinished += self._claim("nobody") is not None

    def _claim(self, name: str) -> _Hand | None:
        found = result_of(
            self.jobs.claim(
                Attempt(_KIND, (), 1),
                owner=WorkerId(name),
                night=_NIGHT,
                lease_seconds=_LEASE_SECONDS,
            )
        )
        for row in found.rows:
            self.holder = name
            return _Hand(self, name, row, found.lease_until)
        return None

    def wrote(self, name: str, accepted: bool) -> None:
        if not accepted:
            self.report.refused += 1
        elif self.holder == name:
            self.holder = ""
        else:
            self.report.stale += 1


class _Hand:
    """A worker with the job: its real core, the child in a few words, writes under way."""

    def __init__(self, schedule: _Schedule, name: str, row: LeasedRow, until: float) -> None:
        self._schedule = schedule
        self._name = name
        self._under_way: list[Callable[[], None]] = []
        self._computing = False
        self._closing = False
        self._batch: LeasedBatch | None = None
        self.gives_up = False
        self.core = WorkerCore()
        lease = Lease(row.user_id, row.token, _NEXT, date(2026, 1, 2))
        kind = WorkKind(_KIND)
        batch = LeasedBatch(BatchId(name), kind, 0.05, (lease,), _NIGHT)
        for event in (ev.Connected(), ev.Welcomed(frozenset())):
            self._handle(event)
        self._handle(ev.Leased(schedule.wall, until, batch))

    def step(self, *, writes: bool = True) -> bool:
        """One thing that may happen now, at random; whether there was one. Without writes, they
        are on their way when the worker freezes."""
        random = self._schedule.random
        wall = self._schedule.wall
        possible: list[Callable[[], None]] = []
        if self._batch is not None:
            possible.append(self._prepared)
        if self._computing:
            possible += [self._computed, lambda: self._handle(ev.Ticked(wall))]
            if self.gives_up or random.random() < 0.2:
                possible += [lambda: self._handle(ev.Silent(wall)), self._asked]
        elif self._closing:
            possible.append(self._closed)
        if self._under_way and writes:
            possible.append(self._written)
        if possible:
            random.choice(possible)()
        elif self.core.flight is not None:
            # Waiting for nothing but time: results and checkpoints that were not taken.
            self._handle(ev.Ticked(wall))
            return bool(self._under_way)
        return bool(possible)

    def _prepared(self) -> None:
        assert self._batch is not None
        users = tuple(lease.user_id for lease in self._batch.leases)
        spec = BatchSpec("simulated", b"", (), ("1",), 8, 8, "1", "1")
        batch, self._batch = self._batch, None
        prepared = PreparedBatch(spec, users)
        self._handle(ev.Prepared(batch.batch_id, self._schedule.wall, prepared))

    def _computed(self) -> None:
        self._computing = False
        self._closing = True
        wall = self._schedule.wall
        self._handle(ev.RowsOut(wall, [(self._schedule.user, ev.Out.DONE, b"result")]))

    def _closed(self) -> None:
        self._closing = False
        self._handle(ev.BatchClosed(self._schedule.wall, "", 0.01))

    def _asked(self) -> None:
        wall, user = self._schedule.wall, self._schedule.user
        self._handle(ev.HaltAsked(wall, f"{self._name}", (user,), HaltReason.FENCED))

    def _written(self) -> None:
        random = self._schedule.random
        self._under_way.pop(random.randrange(len(self._under_way)))()

    def _handle(self, event: ev.Event) -> None:
        for instruction in self.core.handle(event):
            match instruction:
                case do.Prepare(batch):
                    self._batch = batch
                case do.CancelPrepare():
                    self._batch = None
                case do.Offer():
                    self._computing = True
                case do.Mask() if self._computing:
                    self._computing, self._closing = False, True
                    users = [(user, ev.Out.LEFT, b"") for user in instruction.users]
                    self._handle(ev.RowsOut(self._schedule.wall, users))
                case do.Checkpoint():
                    self._under_way.append(self._checkpoint(instruction))
                case do.Settle():
                    self._under_way.append(self._settle(instruction))
                case _:
                    """Said to the scheduler, which is not here."""

    def _checkpoint(self, asked: do.Checkpoint) -> Callable[[], None]:
        held = tuple(Held(each.user_id, asked.kind, each.token) for each in asked.leases)

        def write() -> None:
            raised = result_of(
                self._schedule.jobs.fences.checkpoint(
                    [job.user_id for job in held],
                    _KIND,
                    [job.token for job in held],
                    [b"half"] * len(held),
                    "halt",
                )
            )
            self._schedule.wrote(self._name, bool(raised))
            tokens: dict[Held, JobToken] = {
                job: raised[job.user_id] for job in held if job.user_id in raised
            }
            self._handle(ev.Checkpointed(self._schedule.wall, held, tokens))

        return write

    def _settle(self, asked: do.Settle) -> Callable[[], None]:
        leases = [row.lease for row in asked.results]

        def write() -> None:
            done = result_of(
                self._schedule.jobs.fences.complete(
                    [lease.user_id for lease in leases],
                    _KIND,
                    [lease.token for lease in leases],
                    [lease.next_due_at for lease in leases],
                )
            )
            self._schedule.wrote(self._name, bool(done))
            self._schedule.report.done += len(done)
            users = [lease.user_id for lease in leases]
            self._handle(ev.Settled(self._schedule.wall, users, frozenset(done), frozenset()))

        return write
