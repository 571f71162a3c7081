"""A worker: the real core, with its stream, its database and its child simulated."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Final, assert_never

from eros_cli.simulation import legs as way
from eros_cli.simulation import messages
from eros_cli.simulation.child import Child
from eros_cli.simulation.database import Database
from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Loop
from eros_cli.simulation.network import Network
from eros_cli.simulation.options import Options
from eros_cli.simulation.scheduler import Scheduler
from eros_cli.simulation.sessions import Session, WorkerEnd
from eros_cli.simulation.tally import Tally
from eros_cli.simulation.town import number_of
from eros_cli.simulation.trace import NOBODY
from eros_cli.simulation.writing import Writing
from eros_common.ids import UserId, WorkerId
from eros_matcher.compute.program import BatchSpec
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.core import WorkerCore
from eros_matcher.worker.jobs import LeasedBatch, PreparedBatch
from eros_scheduler.core.model import RULES, JobKind, SessionId

TICK_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 0.150
_FIRST_BACKOFF_SECONDS: Final = 0.1
_LONGEST_BACKOFF_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 10.0
_SETTLED_UNCOMPUTED: Final = 0.003
"""Of the people leased, so many are no longer in the market."""
_OUTS: Final = {True: ev.Out.DONE, False: ev.Out.FAILED, None: ev.Out.LEFT}
_STATE: Final = struct.Struct("<d")


class Worker(WorkerEnd):
    """`hear` gives it what a scheduler says."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        number: int,
        *,
        random: Random,
        network: Network,
        database: Database,
        schedulers: Sequence[Scheduler],
        judge: Judge,
        tally: Tally,
        next_session: Callable[[], SessionId],
        on_exit: Callable[[Worker], None],
    ) -> None:
        super().__init__(loop, f"w{number}", random.uniform(-0.5, 0.5))
        self.id = WorkerId(self.name)
        self._options = options
        self._random = random
        self._network = network
        self._schedulers = schedulers
        self._judge = judge
        self._tally = tally
        self._next_session = next_session
        self._on_exit = on_exit
        self._kinds = frozenset(RULES)
        self._leg = way.stream(self.name)
        self._lives = 0
        self.writing = Writing(self, database, judge, tally, loop.start)

    # ---- its life

    def begin(self) -> None:
        super().begin()
        self._lives += 1
        self.id = WorkerId(f"{self.name}.{self._lives}")
        self._judge.new_worker(self.name)
        self.core = WorkerCore()
        self.child = Child(
            self,
            self._judge,
            self._random,
            self._options.work,
            self._out,
            self._closed,
            self._child_died,
        )
        self.writing.begin(self.id)
        self.session: Session | None = None
        self._opened = self._heard = self.loop.now
        self._silent = self._looking = self._welcomed = self._leaving = self._ticking = False
        self._backoff = _FIRST_BACKOFF_SECONDS
        self._judge.legs.down(self._leg, self.loop.now)
        self._judge.trace.note(NOBODY, "worker begins:", self.name)
        self._connect()

    def die(self) -> None:
        """The child goes with it."""
        self.alive = False
        self.child.die()
        session, self.session = self.session, None
        if session is not None:
            session.cancel()
        super().die()
        self._judge.legs.down(self._leg, self.loop.now)
        self._judge.trace.note(NOBODY, "worker dies:", self.name)

    def freeze(self, seconds: float) -> None:
        super().freeze(seconds)
        self._judge.legs.span(way.frozen(self.name), self.loop.now, self.frozen_until)
        self._judge.trace.note(NOBODY, f"worker stands still for {seconds:.1f} s:", self.name)

    def thawed(self, seconds: float) -> None:
        """Timers are first: that nothing was heard for long is seen before what waits is read."""
        if seconds >= self._options.silence_seconds:
            self._fall_silent()

    def drain(self) -> None:
        """Keep everything safe and end; at the latest when the grace is over."""
        self._leaving = True
        self.after(_GRACE_SECONDS, self._exit)
        self.handle(ev.DrainAsked(self.wall(), leaving=True))
        if self.session is None:
            self._exit()

    def _exit(self) -> None:
        self.die()
        self._on_exit(self)

    def holds(self) -> list[tuple[int, JobKind]]:
        """The jobs it knows that it has."""
        flight = self.core.flight
        held = () if flight is None else flight.held()
        return [(number_of(job.user_id), JobKind(job.kind)) for job in held]

    # ---- the stream

    def _connect(self) -> None:
        if self._leaving:
            return
        scheduler = self._random.choice(self._schedulers)
        self.session = Session(self._next_session(), self, scheduler, self._network)
        self._judge.scheduler_of[self.name] = scheduler.name
        self._opened = self.loop.now
        self._welcomed = False
        self.handle(ev.Connected())
        self._look_later()

    def lost(self, session: Session) -> None:
        """The scheduler's end is gone."""
        if session is self.session:
            self._disconnected()

    def _disconnected(self) -> None:
        assert self.session is not None
        self.session.cancel()
        self.session = None
        self._judge.legs.down(self._leg, self.loop.now)
        self.handle(ev.Disconnected())
        if self._leaving and self.core.flight is None:
            self._exit()
            return
        self.after(self._backoff * self._random.uniform(0.5, 1.0), self._connect)
        self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF_SECONDS)
        self._look_later()

    def hear(self, session: Session, message: messages.Sent) -> None:
        if session is not self.session:
            return
        self._heard, self._silent = self.loop.now, False
        event = messages.to_worker(message, self.wall())
        if isinstance(event, ev.Welcomed):
            self._welcomed = True
            self._backoff = _FIRST_BACKOFF_SECONDS
        if self._welcomed and session.heard:
            self._judge.legs.up(self._leg, self.loop.now)
        self.handle(event)

    def reset(self) -> bool:
        """The stream breaks, and both ends learn of it; whether there was one."""
        if self.session is None:
            return False
        self._disconnected()
        return True

    def deafened(self, session: Session) -> None:
        """From the next moment on nothing comes through, if anything does now."""
        if session is self.session and self.alive and session.heard:
            quiet = self._random.uniform(0, 0.5)
            self._heard = max(self._heard, self.loop.now - quiet)
            self._judge.legs.down(self._leg, self.loop.now)
            self._look_later()

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            due = self._heard + self._options.silence_seconds
            self.at(max(due, self.loop.now), self._look)

    def _look(self) -> None:
        """Notice silence; a stream that is silent since it was opened is cut."""
        self._looking = False
        now, silence = self.loop.now, self._options.silence_seconds
        if self.session is not None and self.session.heard:
            self._heard, self._silent = now, False
            if self._welcomed:
                self._judge.legs.up(self._leg, now)
            return
        if now - self._heard < silence - 1e-9:
            self._look_later()
            return
        self._fall_silent()
        self._looking = True
        self.after(silence / 4, self._look)

    def _fall_silent(self) -> None:
        if not self._silent:
            self._silent = True
            self.handle(ev.Silent(self.wall()))
        if (
            self.session is not None
            and self.loop.now - self._opened >= self._options.silence_seconds
        ):
            self._disconnected()

    # ---- the core

    def handle(self, event: ev.Event) -> None:
        for instruction in self.core.handle(event):
            self._carry_out(instruction)
        if self.core.flight is not None and not self._ticking:
            self._ticking = True
            self.after(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        """Without a batch a tick changes nothing, so there is none."""
        self._ticking = False
        self.handle(ev.Ticked(self.wall()))

    def _carry_out(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.SendHello() | do.SendReady() | do.SendAck() | do.SendEnd() | do.SendRenew():
                self._say(instruction)
            case do.EndStream():
                if self.session is not None:
                    self.session.say_end()
            case do.Prepare(batch):
                self._prepare(batch)
            case do.CancelPrepare():
                self.writing.cancel_prepare()
            case do.Offer():
                self._offer(instruction)
            case do.Mask(users):
                self._mask([number_of(user) for user in users])
            case do.KillChild():
                self.child.kill()
            case do.StartChild():
                self.child.start()
            case do.GiveUp():
                self._exit()
            case do.Checkpoint():
                self.writing.checkpoint(instruction, self._state_of)
            case do.GiveBack(batch):
                self.writing.give_back(batch)
            case do.Settle():
                self.writing.settle(instruction)
            case _:
                assert_never(instruction)

    def _say(self, message: messages.Said) -> None:
        session = self.session
        if session is not None:
            session.to_scheduler(
                messages.to_scheduler(message, self.id, session.number, self._kinds)
            )

    # ---- the computation

    def _prepare(self, batch: LeasedBatch) -> None:
        def ready(stored: Mapping[UserId, bytes]) -> None:
            gone = [lease.user_id for lease in batch.leases if self._chance(_SETTLED_UNCOMPUTED)]
            left = set(gone)
            users = tuple(each.user_id for each in batch.leases if each.user_id not in left)
            spec = BatchSpec("simulated", b"", (), ("1",) * len(users), 8, 8, "1", "1")
            prepared = PreparedBatch(spec if users else None, users, tuple(gone), stored)
            self.handle(ev.Prepared(batch.batch_id, self.wall(), prepared))

        def failed() -> None:
            self.handle(ev.PrepareUnavailable(batch.batch_id, self.wall()))

        self.writing.prepare(batch, ready, failed)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _offer(self, offer: do.Offer) -> None:
        stored = offer.prepared.states
        assert self.core.flight is not None
        kind = JobKind(self.core.flight.kind)
        rows = [
            (number_of(user), user, _STATE.unpack(stored[user])[0] if user in stored else 0.0)
            for user in offer.prepared.users
            if user not in offer.halted
        ]
        self._tally.resumed += sum(share > 0 for _, _, share in rows)
        gone = [(user, None) for user in offer.prepared.users if user in offer.halted]
        self.child.offer(kind, offer.cpu_cap, rows)
        if gone:
            self.after(0.0005, self._out, gone)

    def _state_of(self, user: UserId) -> bytes | None:
        share = self.child.snapshots.get(user, 0.0)
        return _STATE.pack(share) if share > 0 else None

    def _mask(self, people: Sequence[int]) -> None:
        self.child.mask(people)
        self.after(LEAVE_SECONDS, self._overstay, people)

    def _overstay(self, people: Iterable[int]) -> None:
        if any(each in self.child.masked for each in people):
            self.handle(ev.Overstayed())

    def _out(self, rows: Sequence[tuple[UserId, bool | None]]) -> None:
        if self.alive:
            found = [(user, _OUTS[how], b"") for user, how in rows]
            self.handle(ev.RowsOut(self.wall(), found))

    def _closed(self, cpu: float) -> None:
        if self.alive:
            self.handle(ev.BatchClosed(self.wall(), "", cpu))

    def _child_died(self) -> None:
        if self.alive:
            self.handle(ev.ChildDied(self.wall(), -9))
