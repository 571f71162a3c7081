"""Everything together: people, activity, database, schedulers, workers, and what breaks them."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from random import Random
from typing import Final, assert_never

from eros_cli.simulation import faults
from eros_cli.simulation.activity import Activity
from eros_cli.simulation.backlog import Backlog
from eros_cli.simulation.database import Database, result_of
from eros_cli.simulation.fairness import Fairness
from eros_cli.simulation.faults import Fault, FaultKind
from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Loop, Process
from eros_cli.simulation.network import Network
from eros_cli.simulation.options import SKEW_SECONDS, Options
from eros_cli.simulation.scheduler import Scheduler
from eros_cli.simulation.tally import Sampler, Span, Tally
from eros_cli.simulation.town import Town, build
from eros_cli.simulation.trace import LEARNER, NOBODY
from eros_cli.simulation.worker import Worker
from eros_cli.simulation.yesterday import rows
from eros_scheduler.core.model import SessionId

_CHANGES_PROFILE: Final = 0.02
_MOVES: Final = 0.1
"""Of those who change their profile, so many are in another zone now."""
_TOUCHED_SECONDS: Final = 1.0
_RESTART_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 10.0


class World:
    """`run` it once. The same options make the same world, event by event.

    `town`: other people than those the options make.
    """

    def __init__(self, options: Options, town: Town | None = None) -> None:
        self.options = options
        self.loop = loop = Loop(options.start)
        self._random = random = Random(options.seed)
        self.town: Town = town or build(options)
        self.judge = Judge(loop, options, self.town)
        self.tally = Tally()
        fairness = Fairness(loop, options, self.judge.trace)
        self._network = network = Network(Random(random.random()))
        self.database = Database(loop, options, Random(random.random()))
        self.activity = Activity(
            loop, options, self.town, self.judge, Random(random.random()), self._session
        )
        self.schedulers = [
            Scheduler(
                loop,
                options,
                number,
                random=Random(random.random()),
                network=network,
                database=self.database,
                activity=self.activity,
                judge=self.judge,
                tally=self.tally,
                fairness=fairness,
            )
            for number in range(options.schedulers)
        ]
        numbers = itertools.count(1)
        self.workers = [
            Worker(
                loop,
                options,
                number,
                random=Random(random.random()),
                network=network,
                database=self.database,
                schedulers=self.schedulers,
                judge=self.judge,
                tally=self.tally,
                next_session=lambda: SessionId(next(numbers)),
                on_exit=self._restart,
            )
            for number in range(options.worker_count)
        ]
        self.backlog = Backlog(
            loop,
            options,
            self.judge,
            fairness,
            self.database,
            self.schedulers,
            self.workers,
        )
        self.faults: Sequence[Fault] = faults.draw(options, Random(random.random()))
        self._sampler = Sampler(loop, options, self.judge, self.tally)

    def run(self) -> None:
        self.database.jobs.fill(rows(self.options, self.town, self.judge, self._random))
        result_of(self.database.jobs.fences.add_learner(0))
        self.activity.begin()
        for scheduler in self.schedulers:
            scheduler.begin()
        for worker in self.workers:
            self.loop.at(0.5, worker.begin)
        self.backlog.begin()
        self._sampler.begin()
        self._aim()
        for fault in self.faults:
            self.loop.at(fault.at, self._break, fault)
        # What lives, lives till the end: looking through it for garbage finds nothing.
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self.loop.run(self.options.seconds)
        finally:
            gc.enable()
            gc.unfreeze()

    # ---- people

    def _aim(self) -> None:
        """Somebody whom a worker has in hand takes up the phone: the worst moment there is."""
        self.loop.after(self._random.expovariate(1 / self.options.aim_seconds), self._aim)
        self._touch_somebody()

    def _touch_somebody(self) -> None:
        people = [person for person in self.judge.working if person != LEARNER]
        if people:
            person = self._random.choice(people)
            self.activity.touch(person, self.loop.now + self._random.expovariate(1 / 120))

    def _session(self, person: int, until: float) -> None:
        """Somebody takes up the phone; some change their profile meanwhile."""
        self.tally.sessions += 1
        if self._random.random() < _CHANGES_PROFILE:
            self.loop.at(self._random.uniform(self.loop.now, until), self._change, person)

    def _change(self, person: int) -> None:
        zone = self.judge.zone_of[person]
        if self._random.random() < _MOVES:
            zone = self._random.randrange(len(self.town.zones))
        result_of(
            self.database.jobs.fences.mark_due(
                [self.town.users[person]],
                [self.town.zones[zone]],
                self.options.kinds[0],
                self.database.instant(),
            )
        )
        self.judge.marked_due(person, zone)

    # ---- faults

    def _restart(self, process: Process) -> None:
        self.loop.after(_RESTART_SECONDS, self._begin, process)

    def _begin(self, process: Process) -> None:
        if not process.alive:
            process.begin()

    def _end(self, scheduler: Scheduler, seconds: float) -> None:
        """And begin again so much later."""
        scheduler.die()
        self.loop.after(seconds, self._begin, scheduler)

    def _break(self, fault: Fault) -> None:
        if not self._broke(fault):
            return
        now = self.loop.now
        self.tally.faults[fault.kind.value] += 1
        self.tally.spans.append(Span(fault.kind.value, now, now + fault.seconds))
        what = f"{fault.kind.value} ({fault.target}) for {fault.seconds:.1f} s"
        self.judge.trace.note(NOBODY, what)
        # People do not wait until all is well again.
        self.loop.after(self._random.uniform(0, _TOUCHED_SECONDS), self._touch_somebody)

    def _broke(self, fault: Fault) -> bool:
        """Whether there was something to break."""
        seconds = fault.seconds
        match fault.kind:
            case FaultKind.DATABASE_STALL:
                self.database.stall(seconds)
                return True
            case FaultKind.DATABASE_LOSSES:
                self.database.lose_answers(seconds)
                return True
            case FaultKind.TOUCHES_LOST:
                self.activity.deafen(seconds)
                return True
            case FaultKind.CLOCK_STEP:
                clocks: list[Process] = [self.database, *self.schedulers, *self.workers]
                self._random.choice(clocks).skew = self._random.uniform(-1, 1) * SKEW_SECONDS
                return True
            case (
                FaultKind.SCHEDULER_CRASH
                | FaultKind.SCHEDULER_FREEZE
                | FaultKind.SCHEDULER_DRAIN
                | FaultKind.WATCH_CUT
            ):
                return self._break_scheduler(self.schedulers[fault.target], fault)
            case (
                FaultKind.WORKER_CRASH
                | FaultKind.WORKER_FREEZE
                | FaultKind.WORKER_DRAIN
                | FaultKind.CHILD_CRASH
                | FaultKind.LINK_CUT
                | FaultKind.STREAM_RESET
            ):
                return self._break_worker(self.workers[fault.target], fault)
            case _:
                assert_never(fault.kind)

    def _break_scheduler(self, scheduler: Scheduler, fault: Fault) -> bool:
        if not scheduler.alive or scheduler.frozen:
            return False
        match fault.kind:
            case FaultKind.SCHEDULER_CRASH:
                self._end(scheduler, fault.seconds)
            case FaultKind.SCHEDULER_FREEZE:
                scheduler.freeze(fault.seconds)
            case FaultKind.SCHEDULER_DRAIN:
                scheduler.drain(_GRACE_SECONDS)
                scheduler.after(_GRACE_SECONDS, self._end, scheduler, fault.seconds)
            case _:
                until = self.loop.now + fault.seconds
                self._network.cut(scheduler.name, "activity", until)
                scheduler.feed.deaf()
        return True

    def _break_worker(self, worker: Worker, fault: Fault) -> bool:
        if not worker.alive or worker.frozen:
            return False
        match fault.kind:
            case FaultKind.WORKER_CRASH:
                worker.die()
                self.loop.after(fault.seconds, self._begin, worker)
            case FaultKind.WORKER_FREEZE:
                worker.freeze(fault.seconds)
            case FaultKind.WORKER_DRAIN:
                worker.drain()
            case FaultKind.CHILD_CRASH:
                worker.child.die()
            case FaultKind.STREAM_RESET:
                return worker.reset()
            case _:
                session = worker.session
                if session is None:
                    return False
                until = self.loop.now + fault.seconds
                worker.deafened(session)
                self._network.cut(worker.name, session.scheduler.name, until)
        return True
