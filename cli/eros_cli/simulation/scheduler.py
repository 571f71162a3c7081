"""A scheduler: the real core, with its database, its watch and its streams simulated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final, assert_never

from eros_cli.simulation import legs as way
from eros_cli.simulation.activity import Activity
from eros_cli.simulation.database import Database, result_of
from eros_cli.simulation.fairness import Fairness
from eros_cli.simulation.feed import Feed
from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Loop
from eros_cli.simulation.network import Network
from eros_cli.simulation.options import Options
from eros_cli.simulation.projection import Projection
from eros_cli.simulation.sessions import SchedulerEnd, Session
from eros_cli.simulation.tally import Tally
from eros_cli.simulation.trace import NOBODY
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.core import SchedulerCore
from eros_scheduler.core.model import HeldJob, JobKind, Now, OwnedJob, SessionId, Zone
from eros_scheduler.ports import LeasedRows

_TAKE_MOST: Final = 1000
_VERIFY_WAIT_SECONDS: Final = 0.5


class Scheduler(SchedulerEnd):
    """`hear` gives it what a worker says; whatever follows happens in the loop."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        number: int,
        *,
        random: Random,
        network: Network,
        database: Database,
        activity: Activity,
        judge: Judge,
        tally: Tally,
        fairness: Fairness,
    ) -> None:
        super().__init__(loop, f"s{number}", random.uniform(-0.5, 0.5))
        self.options = options
        self.random = random
        self.network = network
        self.database = database
        self.judge = judge
        self.legs = judge.legs
        self._activity = activity
        self._tally = tally
        self._fairness = fairness
        self._lives = 0
        self._numbers = 0
        self.sessions: dict[SessionId, Session] = {}

    # ---- its life

    def begin(self) -> None:
        super().begin()
        self._lives += 1
        self._began = self.loop.now
        self._life_name = f"{self.name}.{self._lives}"
        self.core = SchedulerCore(self.options.core(self._life_name))
        self._upkeep: set[type[do.Instruction]] = set()
        self._projection = Projection(self)
        self.feed = Feed(self, self._activity)
        self._activity.watchers.append(self.feed)
        self.feed.begin()
        self._next_tick = self.loop.now
        self._let_time_pass()
        self.judge.trace.note(NOBODY, "scheduler begins:", self.name)

    def die(self) -> None:
        super().die()
        self._activity.watchers.remove(self.feed)
        self.judge.trace.note(NOBODY, "scheduler dies:", self.name)
        for session in self.sessions.values():
            session.end()
        self.sessions.clear()

    def freeze(self, seconds: float) -> None:
        for session in self.sessions.values():
            session.worker.deafened(session)
        super().freeze(seconds)
        self.judge.trace.note(NOBODY, f"scheduler stands still for {seconds:.1f} s:", self.name)
        self.legs.span(way.frozen(self.name), self.loop.now, self.frozen_until)
        self.feed.deaf()

    def thawed(self, seconds: float) -> None:
        if seconds >= self.options.silence_seconds and self.random.random() < 0.5:
            self.feed.fall_silent()

    def drain(self, grace: float) -> None:
        """Give everything away and end."""
        self.post(ev.DrainAsked(grace))

    def _let_time_pass(self) -> None:
        now = self.loop.now
        if now >= self._next_tick:
            self._next_tick = now + self.options.tick_seconds
            self.post(ev.Ticked())
        else:
            self.post(ev.AlarmRang())
        alarm = self.core.alarm(self._now())
        wait = self._next_tick - now
        self.after(wait if alarm is None else min(wait, alarm + 1e-4), self._let_time_pass)

    def _now(self) -> Now:
        return Now(self.wall(), self.loop.now - self._began, self.instant())

    @property
    def seeing(self) -> bool:
        """It knows who sleeps, and may give out work."""
        return self.alive and self.core.state.watch.seeing(self.wall())

    # ---- workers

    def hear(self, session: Session, message: Any) -> None:
        """`message` makes an event of the session's number; the first one is the hello."""
        if session.number not in self.sessions:
            if session.served or isinstance(message, ev.WorkerConnected) is False:
                return
            session.served = True
            self.sessions[session.number] = session
        self.post(message)

    def lost(self, session: Session) -> None:
        """The worker's end is gone."""
        if self.sessions.pop(session.number, None) is not None:
            session.served = False
            self.post(ev.WorkerGone(session.worker.id, session.number))

    def ended(self, session: Session) -> None:
        """The worker has nothing more to say."""
        if session.number in self.sessions:
            session.end()
            self.lost(session)

    # ---- the core

    def post(self, event: ev.Event) -> None:
        if isinstance(event, an.Claimed):
            self._fairness.tried(self._life_name, event.tried)
            worker_id = self.core.state.claims[event.claim].worker
            self._fairness.given(self._life_name, worker_id, event.tried, event.rows)
        elif isinstance(event, ev.BatchEnded):
            worker = self.core.state.worker(event.worker, event.session)
            if worker is not None and worker.kind is not None:
                self._fairness.tried(self._life_name, [worker.kind])
        for instruction in self.core.handle(event, self._now()):
            self._carry_out(instruction)

    def _carry_out(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.Project():
                self._projection.add(instruction.transitions)
            case do.Claim():
                self._claim(instruction)
            case do.SendHalt():
                session = self.sessions.get(instruction.session)
                if session is not None:
                    session.to_worker(instruction)
                    self.post(ev.HaltSent(instruction.nonce, self.wall()))
            case do.SendLease():
                self._lease(instruction)
            case do.SendWelcome() | do.SendRenewed() | do.SendDrain():
                session = self.sessions.get(instruction.session)
                if session is not None:
                    session.to_worker(instruction)
            case do.EndStream():
                session = self.sessions.pop(instruction.session, None)
                if session is not None:
                    session.end()
            case do.RecordHalt():
                self._tally.halted(instruction.record)
            case do.Verify():
                self._verify(instruction)
            case do.RenewLease():
                self._renew(instruction)
            case do.Release():
                self._release(instruction.jobs)
            case do.TakeExpired():
                self._once(do.TakeExpired, self._take_expired, self._taken)
            case do.LookWhoSleeps():
                self._once(do.LookWhoSleeps, self._who_sleeps, self._share_known)
            case do.LoadZones():
                self._once(do.LoadZones, self._zones, self._loaded)
            case _:
                assert_never(instruction)

    def _lease(self, lease: do.SendLease) -> None:
        session = self.sessions.get(lease.session)
        if session is not None:
            self._tally.dispatched(lease)
            self.judge.dispatched(session.worker.name, lease.kind, len(lease.leases), lease.cpu_cap)
            session.to_worker(lease)

    # ---- the database

    def _claim(self, asked: do.Claim) -> None:
        kinds = [attempt.kind for attempt in asked.attempts]
        self._fairness.asked(self._life_name, asked.worker, kinds)

        def work() -> tuple[list[JobKind], LeasedRows]:
            tried: list[JobKind] = []
            found = LeasedRows((), 0.0)
            for attempt in asked.attempts:
                tried.append(attempt.kind)
                found = result_of(
                    self.database.jobs.claim(
                        attempt,
                        owner=asked.worker,
                        night=asked.night,
                        lease_seconds=self.options.lease_seconds,
                    )
                )
                if found.rows:
                    break
                self._fairness.nothing(attempt.kind)
            self.judge.claimed(asked.worker, found.rows)
            return tried, found

        def done(answer: tuple[list[JobKind], LeasedRows]) -> None:
            tried, found = answer
            self.post(an.Claimed(asked.claim, tuple(tried), found.rows, found.lease_until))

        self.database.call(self, work, done, lambda: self.post(an.ClaimFailed(asked.claim)))

    def _verify(self, asked: do.Verify) -> None:
        def done(found: LeasedRows) -> None:
            self.post(an.Verified(asked.worker, asked.session, asked.jobs, found.rows))

        def away() -> None:
            self.after(_VERIFY_WAIT_SECONDS, self._verify, asked)

        self.database.call(self, self._renewing(asked.jobs), done, away)

    def _renew(self, asked: do.RenewLease) -> None:
        def done(found: LeasedRows) -> None:
            self.post(
                an.LeaseRenewed(
                    asked.worker,
                    asked.session,
                    asked.batch_id,
                    asked.jobs,
                    found.rows,
                    found.lease_until,
                )
            )

        self.database.call(self, self._renewing(asked.jobs), done, _nothing)

    def _renewing(self, jobs: Sequence[HeldJob]) -> Callable[[], LeasedRows]:
        seconds = self.options.lease_seconds
        return lambda: result_of(self.database.jobs.renew(jobs, lease_seconds=seconds))

    def _release(self, jobs: Sequence[HeldJob]) -> None:
        def work() -> None:
            result_of(self.database.jobs.release(jobs))
            self.judge.given_back((job.user_id, job.kind, job.token) for job in jobs)

        self.database.call(self, work, _nothing, _nothing)

    def _take_expired(self) -> Sequence[OwnedJob]:
        taken = result_of(self.database.jobs.take_expired(limit=_TAKE_MOST))
        self.judge.given_back((own.job.user_id, own.job.kind, own.job.token) for own in taken)
        return taken

    def _taken(self, taken: Sequence[OwnedJob]) -> None:
        if taken:
            self.post(an.LeasesTaken(taken))

    def _zones(self) -> Sequence[Zone]:
        return result_of(self.database.jobs.zones())

    def _loaded(self, zones: Sequence[Zone]) -> None:
        self.post(an.ZonesKnown(zones))

    def _who_sleeps(self) -> float:
        return result_of(self.database.jobs.asleep_share())

    def _share_known(self, share: float) -> None:
        self.post(an.AsleepKnown(share))

    def _once(
        self,
        what: type[do.Instruction],
        work: Callable[[], Any],
        then: Callable[[Any], None],
    ) -> None:
        """Unless the last one is still at it."""
        if what in self._upkeep:
            return
        self._upkeep.add(what)

        def done(answer: Any) -> None:
            self._upkeep.discard(what)
            then(answer)

        self.database.call(self, work, done, lambda: self._upkeep.discard(what))


def _nothing(*_: object) -> None:
    """Whoever asked does without the answer."""
