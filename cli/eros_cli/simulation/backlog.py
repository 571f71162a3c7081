"""What could be worked on, by the judge's own books: that none of it is forgotten."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from eros_cli.simulation import legs as way
from eros_cli.simulation.database import Database
from eros_cli.simulation.fairness import Fairness
from eros_cli.simulation.judge import TOLERANCE, Judge
from eros_cli.simulation.loop import Loop
from eros_cli.simulation.options import Options
from eros_cli.simulation.scheduler import Scheduler
from eros_cli.simulation.worker import Worker
from eros_common.phases import STARVED_AFTER
from eros_scheduler.core.model import RULES, JobKind

SWEEP_SECONDS: Final = 60.0
LOST_SECONDS: Final = 180.0
"""Claimable for so long, yet a claim finds nothing."""
STARVED_SECONDS: Final = 300.0
"""Claimable for so long, yet nobody looks for its kind."""
ABANDONED_SECONDS: Final = 120.0
"""Held for so long by nobody who knows of it."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Backlog:
    """Looks at everybody once a minute."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        judge: Judge,
        fairness: Fairness,
        database: Database,
        schedulers: list[Scheduler],
        workers: list[Worker],
    ) -> None:
        self._loop = loop
        self._options = options
        self._judge = judge
        self._fairness = fairness
        self._database = database
        self._schedulers = schedulers
        self._workers = workers
        self._since = {kind: np.full(options.users + 1, np.inf) for kind in options.kinds}
        self._orphans: dict[tuple[int, JobKind], float] = {}
        self.claimable: dict[JobKind, int] = dict.fromkeys(options.kinds, 0)
        self.oldest = 0.0
        """The longest that anything has been claimable, seconds."""

    def begin(self) -> None:
        self._loop.after(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._loop.after(SWEEP_SECONDS, self._sweep)
        now = self._loop.now
        calm = self._calm()
        for kind, open_now in self._claimable().items():
            since = self._since[kind]
            np.minimum(since, now, out=since)
            since[~open_now] = np.inf
            self.claimable[kind] = int(open_now.sum())
            if not calm:
                since[:] = np.inf
                continue
            person = int(since.argmin())
            oldest = float(since[person])
            if oldest == np.inf:
                continue
            self.oldest = max(self.oldest, now - oldest)
            self._forgotten(kind, person, oldest)
        self._abandoned()

    def _forgotten(self, kind: JobKind, person: int, since: float) -> None:
        now, fairness = self._loop.now, self._fairness
        waited = f"claimable for {now - since:.0f} s"
        if since < fairness.found_nothing[kind] - LOST_SECONDS:
            self._judge.trace.violated("lost", person, f"{kind.name}: {waited}, found by no claim")
        elif now - max(since, fairness.last_tried[kind]) > STARVED_SECONDS:
            self._judge.trace.violated("starved", person, f"{kind.name}: {waited}, not looked for")

    def _calm(self) -> bool:
        """Nothing keeps news from the job rows, or anybody from work."""
        return (
            not self._database.disturbed
            and not self._judge.legs.is_down(way.TOUCHES, self._loop.now)
            and all(scheduler.seeing for scheduler in self._schedulers)
        )

    def _claimable(self) -> dict[JobKind, Bools]:
        now, judge = self._loop.now, self._judge
        idle = now - np.frombuffer(judge.seen_until) - TOLERANCE  # the learner included
        solo = now - np.frombuffer(judge.matched_at) >= STARVED_AFTER.total_seconds() + TOLERANCE
        caps = np.array(judge.caps, dtype=np.int8)[np.frombuffer(judge.zone_of, dtype=np.int32)]
        held = np.zeros(len(idle), dtype=bool)
        due: dict[JobKind, Bools] = {}
        for kind in judge.kinds:
            held |= np.frombuffer(judge.held[kind], dtype=np.bool_)
            due[kind] = np.frombuffer(judge.due[kind]) <= now + TOLERANCE
        found: dict[JobKind, Bools] = {}
        earlier = np.zeros(len(idle), dtype=bool)
        for kind in judge.kinds:
            found[kind] = (
                (idle >= self._options.idle_seconds[kind])
                & (np.frombuffer(judge.due[kind]) <= now - TOLERANCE)
                & (np.frombuffer(judge.barred[kind]) <= now)
                & ~held
                & ~earlier
                & (solo | (caps >= RULES[kind].phase))
            )
            earlier |= due[kind]
        return found

    def _abandoned(self) -> None:
        """A held job whose holder is gone or does not know of it comes back when its lease ends."""
        now = self._loop.now
        known: set[tuple[str, int, JobKind]] = set()
        for worker in self._workers:
            if worker.alive:
                known |= {(worker.id, person, kind) for person, kind in worker.holds()}
        orphans = {
            job: self._orphans.get(job, now)
            for job, (owner, _) in self._judge.holders.items()
            if (owner, *job) not in known
        }
        self._orphans = orphans if not self._database.disturbed else {}
        for (person, kind), since in orphans.items():
            if now - since > ABANDONED_SECONDS:
                what = f"{kind.name} is held by nobody for {now - since:.0f} s"
                self._judge.trace.violated("lost", person, what)
