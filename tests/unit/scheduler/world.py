"""Workers, a database and people around the core: everything slow, in any order, and failing."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from eros_common.ids import BatchId, JobToken, UserId, WorkerId
from eros_common.phases import IdleThresholds
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import (
    HaltedJob,
    HeldJob,
    JobKind,
    SessionId,
    Transition,
    TransitionKind,
)
from eros_scheduler.store_memory import MemoryJobs
from tests.unit.scheduler.rig import ALL_KINDS, BERLIN, Rig, person

LEASE_SECONDS = 30.0
SILENCE_SECONDS = 2.0
MINUTE = timedelta(minutes=1)
T = TypeVar("T")


def now(work: Coroutine[Any, Any, T]) -> T:
    """What the memory store says; it never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("the memory store waited")


@dataclass
class Held:
    job: HeldJob
    next_due_at: datetime
    halted: bool = False


@dataclass
class ModelWorker:
    """What a worker knows. `halts` are those it has not acknowledged."""

    worker_id: WorkerId
    session: SessionId | None = None
    welcome: bool = False
    asked: bool = False
    batch: BatchId | None = None
    held: dict[UserId, Held] = field(default_factory=dict)
    halts: list[do.SendHalt] = field(default_factory=list)


class World:
    """Asserts, as it goes, that nothing is done for whoever is awake, nor anything twice."""

    def __init__(self, people: int = 6, workers: int = 2) -> None:
        self.rig = Rig(ageing_seconds=20)
        self.store = MemoryJobs(IdleThresholds(), self.wall)
        self.people = [person(n + 1) for n in range(people)]
        self.awake = dict.fromkeys(self.people, self.rig.night - 10 * MINUTE)
        """With their last interaction."""
        self.workers = [ModelWorker(WorkerId(f"w{n}")) for n in range(workers)]
        self.database: list[do.Instruction] = []
        """What was asked of it and is not done yet."""
        self.done: dict[tuple[UserId, JobKind], datetime] = {}
        zones = [BERLIN] * people
        now(self.store.fences.mark_due(self.people, zones, JobKind.ANALYZE, self.rig.night))

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.rig.wall, UTC)

    def post(self, event: ev.Event) -> None:
        for instruction in self.rig.post(event):
            self._carry_out(instruction)
        self.check()

    def _carry_out(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.SendWelcome(session):
                self._of(session).welcome = True
            case do.SendLease():
                self._leased(self._of(instruction.session), instruction)
            case do.SendHalt(session):
                worker = self._of(session)
                worker.halts.append(instruction)
                for user, _ in instruction.users:
                    if user in worker.held:
                        worker.held[user].halted = True
            case do.SendRenewed() | do.SendDrain() | do.EndStream() | do.RecordHalt():
                """Nothing that the model minds."""
            case _:
                self.database.append(instruction)

    def _of(self, session: SessionId) -> ModelWorker:
        return next(worker for worker in self.workers if worker.session == session)

    def _leased(self, worker: ModelWorker, lease: do.SendLease) -> None:
        assert not worker.held, "one batch at a time"
        assert worker.asked, "only whoever is ready gets a batch"
        worker.asked, worker.batch = False, lease.batch_id
        for each in lease.leases:
            assert each.user_id not in self.awake, "dispatched, though awake"
            job = HeldJob(each.user_id, lease.kind, each.token)
            worker.held[each.user_id] = Held(job, each.next_due_at)

    # ---- what may happen

    def database_does(self, index: int, *, fails: bool = False) -> None:
        asked = self.database.pop(index)
        match asked:
            case do.Claim() if fails:
                self.post(an.ClaimFailed(asked.claim))
            case do.Claim():
                self._claim(asked)
            case do.Verify() | do.RenewLease() if fails:
                self.database.append(asked)
            case do.Verify():
                live = now(self.store.renew(asked.jobs, lease_seconds=LEASE_SECONDS)).rows
                self.post(an.Verified(asked.worker, asked.session, asked.jobs, live))
            case do.Release():
                if not fails:
                    now(self.store.release(asked.jobs))
            case do.Project() if fails:
                self.database.append(asked)
            case do.Project():
                self._project(asked)
            case do.TakeExpired():
                self.post(an.LeasesTaken(now(self.store.take_expired(limit=100))))
            case do.LoadZones():
                self.post(an.ZonesKnown(now(self.store.zones())))
            case do.LookWhoSleeps():
                self.post(an.AsleepKnown(now(self.store.asleep_share())))
            case unexpected:
                raise AssertionError(f"unexpected {unexpected}")

    def _claim(self, asked: do.Claim) -> None:
        tried: list[JobKind] = []
        for attempt in asked.attempts:
            tried.append(attempt.kind)
            found = now(
                self.store.claim(
                    attempt,
                    owner=asked.worker,
                    night=asked.night,
                    lease_seconds=LEASE_SECONDS,
                )
            )
            if found.rows:
                break
        self.post(an.Claimed(asked.claim, tuple(tried), found.rows, found.lease_until))

    def _project(self, asked: do.Project) -> None:
        sleeps = [t for t in asked.transitions if t.kind is TransitionKind.ASLEEP]
        wakes = [t for t in asked.transitions if t.kind is not TransitionKind.ASLEEP]
        now(self.store.fall_asleep(sleeps))
        if wakes:
            self.post(an.WakesApplied(wakes, now(self.store.wake(wakes))))

    def connects(self, worker: ModelWorker) -> None:
        self.rig.sessions += 1
        worker.session, worker.welcome, worker.asked = SessionId(self.rig.sessions), False, False
        worker.halts.clear()
        held = tuple(each.job for each in worker.held.values())
        self.post(ev.WorkerConnected(worker.worker_id, worker.session, ALL_KINDS, held))

    def disconnects(self, worker: ModelWorker) -> None:
        assert worker.session is not None
        session, worker.session = worker.session, None
        self.post(ev.WorkerGone(worker.worker_id, session))

    def time_passes(self, seconds: float) -> None:
        self.rig.pass_time(seconds)
        for worker in self.workers:
            if worker.session is None and seconds >= SILENCE_SECONDS:
                # It heard nothing, so it halted itself.
                for held in worker.held.values():
                    held.halted = True
        self.post(ev.Ticked())

    def asks(self, worker: ModelWorker) -> None:
        assert worker.session is not None
        worker.asked = True
        self.post(ev.WorkerReady(worker.worker_id, worker.session))

    def acknowledges(self, worker: ModelWorker) -> None:
        """The oldest halt, durable and left."""
        halt = worker.halts.pop(0)
        jobs = [self._halt(worker, user) for user, _ in halt.users]
        self.post(ev.HaltAcked(halt.nonce, tuple(jobs), tuple(jobs)))

    def _halt(self, worker: ModelWorker, user: UserId) -> HaltedJob:
        held = worker.held.pop(user, None)
        stored: dict[UserId, JobToken] = {}
        if held is not None:
            stored = now(
                self.store.fences.checkpoint(
                    [user], held.job.kind, [held.job.token], [b"half"], "halt"
                )
            )
        wall = self.rig.wall
        return HaltedJob(user, wall, wall, killed=False, was_running=bool(stored))

    def checkpoints_itself(self, worker: ModelWorker) -> None:
        """What it halted without being told, or whose halt it never heard."""
        for user in [user for user, held in worker.held.items() if held.halted]:
            self._halt(worker, user)

    def finishes(self, worker: ModelWorker) -> None:
        """Whatever is not halted is completed, and the batch ends."""
        assert worker.session is not None
        completed = 0
        for user, held in list(worker.held.items()):
            if not held.halted:
                completed += self._complete(user, held)
        while worker.halts:
            self.acknowledges(worker)
        worker.held.clear()
        batch, worker.batch = worker.batch or BatchId(""), None
        self.post(ev.BatchEnded(worker.worker_id, worker.session, batch, completed, 0, seconds=1.0))

    def _complete(self, user: UserId, held: Held) -> bool:
        job = held.job
        rows = now(self.store.jobs(user_id=user, states=frozenset(), limit=10))
        due = {row.kind: row.due_at for row in rows}
        done = now(self.store.fences.complete([user], job.kind, [job.token], [held.next_due_at]))
        if done:
            was_due = due[job.kind]
            assert was_due is not None, "nothing is done before what comes first"
            assert was_due <= self.rig.night, "nothing is done before it is due"
            assert held.next_due_at > was_due
            self.done[user, job.kind] = self.rig.night
        return bool(done)

    def wakes(self, user: UserId) -> None:
        # A touch is always later than the one before: only such ones are taken for news.
        self.rig.pass_time(0.001)
        self.awake[user] = self.rig.night
        self._move(user, TransitionKind.WOKE, self.rig.night)

    def falls_asleep(self, user: UserId) -> None:
        self._move(user, TransitionKind.ASLEEP, self.awake.pop(user))

    def _move(self, user: UserId, kind: TransitionKind, at: datetime) -> None:
        self.post(ev.Transitioned([Transition(user, kind, at, self.rig.wall)], self.rig.wall))

    # ---- what must hold at every moment

    def check(self) -> None:
        state = self.rig.core.state
        seeing = state.watch.seeing(self.rig.wall)
        for worker in self.workers:
            if worker.session is None or not worker.welcome:
                continue
            for user, held in worker.held.items():
                assert held.halted or user not in self.awake, f"work on {user}, who is awake"
                assert held.halted or seeing, "work in the dark"


def run_to_the_end(world: World) -> None:
    """Everything works again and nobody wakes: whatever is due is done in the end."""
    loop_guard = 0
    for worker in world.workers:
        if worker.session is not None:
            world.disconnects(worker)
        world.checkpoints_itself(worker)
        worker.held.clear()
    world.post(ev.SnapshotEnded(()))
    world.post(ev.WatchBack())
    for user in list(world.awake):
        world.falls_asleep(user)
    # The next night, with every phase open: who was matched waits for it with the rest.
    night = world.rig.night
    later = night.replace(hour=4, minute=30, second=0, microsecond=0) + timedelta(days=1)
    world.rig.pass_time((later - night).total_seconds())
    for worker in world.workers:
        world.connects(worker)
    while any(row.due_at is not None and row.due_at <= world.rig.night for row in _rows(world)):
        loop_guard += 1
        assert loop_guard < 200, "a job is lost"
        world.time_passes(5)
        while world.database:
            world.database_does(0)
        for worker in world.workers:
            if worker.held:
                world.finishes(worker)
            if worker.welcome and not worker.asked:
                world.asks(worker)
        world.check()


def _rows(world: World) -> list[Any]:
    return list(now(world.store.jobs(user_id=None, states=frozenset(), limit=10_000)))
