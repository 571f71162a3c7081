"""What the scheduler knows: its workers, what they hold, what is being claimed. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from eros_common.ids import BatchId, JobToken, UserId, WorkerId
from eros_scheduler.core.instructions import Instruction
from eros_scheduler.core.model import (
    ClaimId,
    CoreSettings,
    HaltReason,
    HeldJob,
    JobKind,
    LeasedRow,
    Now,
    SessionId,
    Zone,
)
from eros_scheduler.core.windows import Windows


@dataclass(slots=True)
class Lease:
    """One job that a worker holds."""

    user_id: UserId
    kind: JobKind
    token: JobToken
    zone: Zone
    solo_at: datetime
    halting: bool = False

    @classmethod
    def of(cls, row: LeasedRow) -> Lease:
        return cls(row.user_id, row.kind, row.token, row.zone, row.solo_at)

    @property
    def job(self) -> HeldJob:
        return HeldJob(self.user_id, self.kind, self.token)


@dataclass(slots=True)
class Worker:
    """One connected worker. It runs one batch at a time, so its leases are its batch."""

    worker_id: WorkerId
    session: SessionId
    kinds: frozenset[JobKind]
    verifying: bool = False
    """What it says it holds is being looked up."""
    ready: bool = False
    claim: ClaimId | None = None
    batch_id: BatchId | None = None
    kind: JobKind | None = None
    batch_size: int = 0
    stint: JobKind | None = None
    """The kind of its last batch, if that was a full one."""
    stint_until: float = 0.0
    """Monotonic seconds."""
    leases: dict[UserId, Lease] = field(default_factory=dict)
    cpu: float = 0.0
    cpu_cap: float = 0.0
    batches_done: int = 0
    turn_until: float = math.inf
    """When its batch makes room for others; monotonic seconds."""
    turned_down: dict[JobKind, float] = field(default_factory=dict)
    """When it gave nobody's work back without a beginning; monotonic seconds."""

    @property
    def idle(self) -> bool:
        return self.ready and self.claim is None and not self.verifying and not self.leases


@dataclass(slots=True)
class Claiming:
    """A claim that the database works on; `woke`: who may not be dispatched from it."""

    worker: WorkerId
    session: SessionId
    woke: set[UserId]


@dataclass(slots=True)
class HaltRow:
    """One job of a halt, until the worker has said that it is durable and that it left."""

    kind: JobKind
    touched_at: float | None
    received_at: float | None = None
    durable_at: float | None = None
    left_at: float | None = None
    killed: bool = False


@dataclass(slots=True)
class Halt:
    """One halt message that waits for its acks; wall seconds since 1970."""

    worker: WorkerId
    session: SessionId
    reason: HaltReason
    event_at: float
    dispatched_at: float
    rows: dict[UserId, HaltRow]


@dataclass(slots=True)
class Watch:
    """How well it is known who sleeps."""

    synchronized: bool = False
    silent: bool = False
    paused_until: float = 0.0
    """Wall, seconds since 1970."""
    reason: str = ""

    def seeing(self, wall: float) -> bool:
        return self.synchronized and not self.silent and wall >= self.paused_until


@dataclass(slots=True)
class KindTally:
    """What became of one kind since the start."""

    done: int = 0
    failed: int = 0
    batches: int = 0
    batch_seconds: float = 0.0


class State:
    """Everything the core remembers, and the instructions of the event at hand."""

    def __init__(self, settings: CoreSettings) -> None:
        self.settings = settings
        self.windows = Windows(settings.window, settings.default_zone)
        self.watch = Watch()
        self.workers: dict[WorkerId, Worker] = {}
        self.claims: dict[ClaimId, Claiming] = {}
        self.halts: dict[str, Halt] = {}
        self.waking: dict[UserId, datetime] = {}
        """Who woke and whose job rows may not say so yet; with the night time of the touch."""
        self.tried: dict[JobKind, float] = {}
        """When each kind was last looked for or run; monotonic seconds."""
        self.asleep_share = 0.0
        """Of all people, as last looked at."""
        self.tally: dict[JobKind, KindTally] = defaultdict(KindTally)
        self.halted = 0
        self.draining_seconds: float | None = None
        """The grace of this scheduler's end, once it has come."""
        self.out: list[Instruction] = []
        self._count = 0

    def number(self) -> int:
        """One that was not given before."""
        self._count += 1
        return self._count

    def worker(self, worker_id: WorkerId, session: SessionId) -> Worker | None:
        """The worker, if this is the stream it speaks on."""
        worker = self.workers.get(worker_id)
        return worker if worker is not None and worker.session == session else None

    def holders(self, user_id: UserId) -> Iterator[tuple[Worker, Lease]]:
        """Who holds a job of this person: one worker, two while a fenced one has not noticed."""
        for worker in self.workers.values():
            lease = worker.leases.get(user_id)
            if lease is not None:
                yield worker, lease

    def may_run(self, row: Lease | LeasedRow, now: Now) -> bool:
        """Whether the window, or its not counting, lets this job run now."""
        rule = self.settings.rules.get(row.kind)
        if rule is None:
            return False
        return row.solo_at <= now.night or self.windows.cap(row.zone, now.night) >= rule.phase
