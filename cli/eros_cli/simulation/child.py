"""A compute child: rows one after the other, paced by the real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Final

from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Process
from eros_common.ids import UserId
from eros_matcher.compute.pacing import SAVED_SECONDS, Ledger, overdraft
from eros_scheduler.core.model import JobKind

CPU_SECONDS: Final[Mapping[JobKind, float]] = {
    JobKind.ANALYZE: 0.010,
    JobKind.SCORE: 0.030,
    JobKind.MATCH: 0.060,
    JobKind.PREPARE: 0.020,
    JobKind.LEARN: 1200.0,
}
"""A person's share of each kind, in the middle: more than it takes, so that workers are busy."""
FAILS: Final = 0.002
STUBBORN: Final = 0.004
"""Of the batches, so many are deaf to halts."""
_TURN_SECONDS: Final = 0.04
_DEEP_TURN_SECONDS: Final = 0.45
_CHUNK_SECONDS: Final = 0.010
_START_CPU_SECONDS: Final = 0.05


class Child:
    """`on_out` gets users and whether each is done, failed (False) or left (None); `on_closed` the
    CPU seconds of the batch. A turn here is many of the real child's chunks."""

    def __init__(
        self,
        process: Process,
        judge: Judge,
        random: Random,
        work: float,
        on_out: Callable[[Sequence[tuple[UserId, bool | None]]], None],
        on_closed: Callable[[float], None],
        on_death: Callable[[], None],
    ) -> None:
        self._process = process
        self._judge = judge
        self._random = random
        self._work = work
        self._on_out = on_out
        self._on_closed = on_closed
        self._on_death = on_death
        self._rows: dict[int, list[float]] = {}
        """Seconds to compute, and seconds done."""
        self._masked: set[int] = set()
        self._failing: set[int] = set()
        self._kind = JobKind.ANALYZE
        self._cap = 1.0
        self._open = False
        self._owed = 0.0
        self._stubborn = False
        self._dead = False
        self._generation = 0
        self._turn_began: float | None = None
        self._cpu = self._cpu_at_offer = 0.0
        self._read_at = process.loop.now
        self._ledger = Ledger(1.0, wall=process.loop.now, cpu=0.0)
        self._users: dict[int, UserId] = {}
        self.snapshots: dict[UserId, float] = {}
        """How far the rows of the last batch are, 0 to 1."""

    @property
    def masked(self) -> Iterable[int]:
        """Told to leave, and not out yet."""
        return self._masked

    def offer(self, kind: JobKind, cap: float, rows: Iterable[tuple[int, UserId, float]]) -> None:
        """People by number, each with how far they were."""
        # A pause counts for the batch behind it: it pays what was overdrawn, and saves a little.
        pause = self._process.loop.now - self._read_at
        saved = min(pause * cap, self._owed + SAVED_SECONDS)
        self._read_at = self._process.loop.now
        self._judge.used(self._process.name, kind, 0.0, saved)
        self._kind, self._cap, self._open = kind, cap, True
        self._ledger.set_cap(cap)
        self._cpu_at_offer = self._cpu
        self._stubborn = self._random.random() < STUBBORN
        self.snapshots = {}
        self._users = {}
        for person, user, share in rows:
            cost = self._work * CPU_SECONDS[kind] * self._random.lognormvariate(0.0, 0.5)
            self._rows[person] = [cost, cost * share]
            self._users[person] = user
            self.snapshots[user] = share
            if self._random.random() < FAILS:
                self._failing.add(person)
            if not self._dead:
                self._judge.work_began(self._process.name, person, kind)
        self._go_on()

    # ---- turns

    def _go_on(self) -> None:
        """Wait for what the cap asks for, then compute."""
        self._generation += 1
        self._turn_began = None
        if self._dead or not self._open:
            return
        now = self._process.loop.now
        if not self._rows:
            self._settle_meter()
            self._ledger.settle(wall=now, cpu=self._cpu)
            self._open, self._owed = False, self._ledger.debt
            self._on_closed(self._cpu - self._cpu_at_offer)
            return
        self._ledger.settle(wall=now, cpu=self._cpu)
        wait = self._ledger.wait
        if wait > 0:
            self._process.after(wait, self._turn, self._generation)
        else:
            self._turn(self._generation)

    def _turn(self, generation: int) -> None:
        if generation != self._generation:
            return
        self._settle_meter()
        self._turn_began = self._process.loop.now
        most = _DEEP_TURN_SECONDS if self._cap > 0.5 else _TURN_SECONDS
        left = sum(cost - done for cost, done in self._rows.values())
        self._process.after(min(most, left), self._turned, generation, min(most, left))

    def _turned(self, generation: int, used: float) -> None:
        if generation == self._generation:
            self._book(used)
            self._go_on()

    def _book(self, used: float) -> None:
        """So much CPU time was taken: whoever that finished is out."""
        self._cpu += used
        self._settle_meter(used)
        out: list[tuple[int, bool | None]] = []
        for person, row in self._rows.items():
            step = min(used, row[0] - row[1])
            row[1] += step
            used -= step
            self.snapshots[self._users[person]] = row[1] / row[0]
            if row[1] >= row[0] - 1e-9:
                out.append((person, person not in self._failing))
            if used <= 1e-9:
                break
        self._drop(out)

    def _drop(self, out: Sequence[tuple[int, bool | None]]) -> None:
        for person, _ in out:
            del self._rows[person]
            self._masked.discard(person)
            self._failing.discard(person)
            self._judge.work_ended(self._process.name, person)
        self._tell(out)

    def _tell(self, out: Sequence[tuple[int, bool | None]]) -> None:
        if out:
            self._on_out([(self._users[person], how) for person, how in out])

    def _interrupt(self) -> None:
        """Book the turn as far as it came."""
        if self._turn_began is not None:
            used = max(self._process.loop.now - self._turn_began, 0.0)
            self._generation += 1
            self._turn_began = None
            self._book(min(used, sum(cost - done for cost, done in self._rows.values())))

    # ---- halting

    def mask(self, people: Iterable[int]) -> None:
        """These leave at the next chunk."""
        self._masked.update(person for person in people if person in self._rows)
        if self._masked and not self._stubborn:
            chunk = 0.0005 if self._turn_began is None else _CHUNK_SECONDS
            self._process.after(chunk * self._random.random(), self._leave)

    def _leave(self) -> None:
        if not self._dead and self._masked:
            self._interrupt()
            self._drop([(person, None) for person in sorted(self._masked & self._rows.keys())])
            self._masked.clear()
            self._go_on()

    def kill(self) -> None:
        self._process.after(self._random.uniform(0.001, 0.005), self.die)

    def die(self) -> None:
        """All that it has in hand is left."""
        if self._dead:
            return
        self._interrupt()
        self._dead = True
        self._generation += 1
        for person in self._rows:
            self._judge.work_ended(self._process.name, person)
        self._on_death()

    def start(self) -> None:
        """A new one, which takes up the batch the last one left; it owes what that one overdrew."""
        self._process.after(self._random.uniform(0.06, 0.15), self._started)

    def _started(self) -> None:
        now = self._process.loop.now
        debt = overdraft(self._cap, debt=self._ledger.debt, unseen=0.0, since=0.0)
        self._cpu += _START_CPU_SECONDS
        # Beyond any cap, and paid back by its ledger: only what follows is held against it.
        self._settle_meter()
        self._judge.used(self._process.name, self._kind, _START_CPU_SECONDS, _START_CPU_SECONDS)
        self._ledger = Ledger(self._cap, wall=now, cpu=self._cpu, debt=debt + _START_CPU_SECONDS)
        self._dead = self._stubborn = False
        gone = sorted(self._masked & self._rows.keys())
        for person in gone:
            del self._rows[person]
        for person in self._rows:
            self._judge.work_began(self._process.name, person, self._kind)
        self._masked.clear()
        self._tell([(person, None) for person in gone])
        self._go_on()

    def _settle_meter(self, used: float = 0.0) -> None:
        now = self._process.loop.now
        allowed = (now - self._read_at) * self._cap if self._open else 0.0
        self._read_at = now
        self._judge.used(self._process.name, self._kind, used, allowed)
