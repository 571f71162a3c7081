"""The core in a test's hands: clocks moved by hand, events posted, instructions looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from eros_common.ids import BatchId, JobToken, UserId, WorkerId
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.core import SchedulerCore
from eros_scheduler.core.model import (
    PERSONAL,
    CoreSettings,
    HaltedJob,
    JobKind,
    LeasedRow,
    Now,
    SessionId,
    Transition,
    TransitionKind,
    Zone,
)

NIGHT = datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
"""05:30 in Berlin: every phase is open there."""
BERLIN = Zone("Europe/Berlin")
ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
W1, W2 = WorkerId("w1"), WorkerId("w2")
ALL_KINDS = frozenset(PERSONAL)

Kind = TypeVar("Kind")


def person(number: int) -> UserId:
    return UserId(UUID(int=number))


def row(
    number: int,
    kind: JobKind = JobKind.MATCH,
    *,
    token: int = 1,
    zone: Zone = BERLIN,
    solo_at: datetime = NEVER,
    awake: bool = False,
) -> LeasedRow:
    return LeasedRow(person(number), kind, JobToken(token), zone, solo_at, awake)


class Rig:
    """`post` returns what the core says; `watching` is set up unless told otherwise."""

    def __init__(self, *, night: datetime = NIGHT, watching: bool = True, **settings: Any) -> None:
        self.core = SchedulerCore(CoreSettings(scheduler_id="s", **settings))
        self.wall = 1_000_000.0
        self.mono = 500.0
        self.night = night
        self.sessions = 0
        if watching:
            self.post(ev.SnapshotBegan())
            self.post(ev.SnapshotEnded(()))
            self.post(an.ZonesKnown([BERLIN]))

    @property
    def now(self) -> Now:
        return Now(self.wall, self.mono, self.night)

    def post(self, event: ev.Event) -> list[do.Instruction]:
        return self.core.handle(event, self.now)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds
        self.night += timedelta(seconds=seconds * self.core.state.settings.night_rate)

    # ---- workers

    def connect(
        self,
        worker: WorkerId = W1,
        *held: LeasedRow,
        kinds: frozenset[JobKind] = ALL_KINDS,
    ) -> list[do.Instruction]:
        self.sessions += 1
        jobs = tuple(each.job for each in held)
        return self.post(ev.WorkerConnected(worker, SessionId(self.sessions), kinds, jobs))

    def session(self, worker: WorkerId = W1) -> SessionId:
        return self.core.state.workers[worker].session

    def ready(self, worker: WorkerId = W1) -> list[do.Instruction]:
        return self.post(ev.WorkerReady(worker, self.session(worker)))

    def free(self, worker: WorkerId = W1) -> do.Claim:
        """Connect a worker; its claim."""
        self.connect(worker)
        return one(do.Claim, self.ready(worker))

    def claimed(self, claim: do.Claim, *rows: LeasedRow) -> list[do.Instruction]:
        tried = tuple(attempt.kind for attempt in claim.attempts)
        return self.post(an.Claimed(claim.claim, tried, rows, self.wall + 30))

    def lease(self, *rows: LeasedRow, worker: WorkerId = W1) -> do.SendLease:
        """Connect a worker and give it these."""
        return one(do.SendLease, self.claimed(self.free(worker), *rows))

    def end(self, worker: WorkerId = W1, *, completed: int = 1) -> list[do.Instruction]:
        return self.post(
            ev.BatchEnded(worker, self.session(worker), BatchId("b"), completed, 0, 2.0)
        )

    def ack(
        self, halt: do.SendHalt, *, durable: bool = True, left: bool = True, running: bool = True
    ) -> list[do.Instruction]:
        jobs = tuple(
            HaltedJob(user, self.wall + 0.01, self.wall + 0.001, killed=False, was_running=running)
            for user, _ in halt.users
        )
        return self.post(ev.HaltAcked(halt.nonce, jobs if durable else (), jobs if left else ()))

    # ---- people

    def move(self, kind: TransitionKind, *numbers: int) -> list[do.Instruction]:
        moves = [Transition(person(n), kind, self.night, self.wall - 0.005) for n in numbers]
        return self.post(ev.Transitioned(moves, self.wall - 0.001))

    def wake(self, *numbers: int) -> list[do.Instruction]:
        return self.move(TransitionKind.WOKE, *numbers)


def all_of(kind: type[Kind], instructions: list[do.Instruction]) -> list[Kind]:
    return [each for each in instructions if isinstance(each, kind)]


def one(kind: type[Kind], instructions: list[do.Instruction]) -> Kind:
    found = all_of(kind, instructions)
    assert len(found) == 1, f"{len(found)} {kind.__name__} in {instructions}"
    return found[0]


def none(kind: type[do.Instruction], instructions: list[do.Instruction]) -> None:
    assert not all_of(kind, instructions), instructions


def users(halt: do.SendHalt) -> list[int]:
    return [user.int for user, _ in halt.users]
