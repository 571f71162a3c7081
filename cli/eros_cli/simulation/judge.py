"""The judge: knows the truth and holds every step against it.

It has its own idea of who is awake, what is due, who holds which job and which window is open, and
none of it comes from the code it judges, but for the window's times in a zone.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from eros_cli.simulation import legs as way
from eros_cli.simulation.caps import POINT, Meter
from eros_cli.simulation.legs import Legs
from eros_cli.simulation.loop import Loop, instant
from eros_cli.simulation.options import CUT_SECONDS, HALT_SECONDS, SKEW_SECONDS, Options
from eros_cli.simulation.town import Town, number_of
from eros_cli.simulation.trace import LEARNER, NOBODY, Trace
from eros_common.ids import JobToken, UserId
from eros_common.phases import STARVED_AFTER, Phase, effective_phase, idle_phase
from eros_scheduler.core.model import ANYWHERE, RULES, JobKind, LeasedRow

TOLERANCE: Final = 2 * SKEW_SECONDS + 0.5
"""Two clocks, and how long news takes."""
_BACK_OFF_SECONDS: Final = 3600 * 1.25 + 60
_SOLO_SECONDS: Final = STARVED_AFTER.total_seconds()


class Judge:
    """Told of everything that happens, when it happens."""

    def __init__(self, loop: Loop, options: Options, town: Town) -> None:
        self._loop = loop
        self._options = options
        count = options.users + 1  # the last one, also known as -1, is the learner
        self.trace = Trace(loop, options.follow)
        self.legs = Legs()
        self.kinds = options.kinds
        self.zone_of: array[int] = array("i", [*town.zone_of.tolist(), len(town.zones)])
        self.zones = (*town.zones, ANYWHERE)
        self.caps = [Phase.AWAKE] * len(self.zones)
        self.seen_until: array[float] = array("d", [*town.last_seen.tolist(), -math.inf])
        """The end of each person's last session: in the future while it lasts."""
        self.touched_at = array("d", [-math.inf]) * count
        self.matched_at = array("d", [-math.inf]) * count
        self.claimed_at = array("d", [-math.inf]) * count
        self.matched_at[LEARNER] = math.inf
        self.matched_before = array("d", self.matched_at)
        """The match before the last one."""
        self.due = {kind: array("d", [math.inf]) * count for kind in RULES}
        self.due[JobKind.LEARN][LEARNER] = -math.inf
        self.barred = {kind: array("d", [-math.inf]) * count for kind in RULES}
        """Until when a job may back off; for ever once it is dead."""
        self.held = {kind: bytearray(count) for kind in RULES}
        self.holders: dict[tuple[int, JobKind], tuple[str, JobToken]] = {}
        self.tokens: dict[tuple[int, JobKind], JobToken] = {}
        self.working: dict[int, dict[str, tuple[JobKind, float]]] = defaultdict(dict)
        """Whom children have in hand, with since when."""
        self.stopped: list[float] = []
        """Seconds from a touch until the row was left."""
        self.durable: list[float] = []
        """Seconds from a touch until the checkpoint was kept."""
        self.scheduler_of: dict[str, str] = {}
        self.meters: dict[str, Meter] = defaultdict(Meter)
        self.cpu_used: dict[JobKind, float] = dict.fromkeys(RULES, 0.0)
        self.cpu_allowed = 0.0
        self.cap_worst = 0.0
        """Most taken beyond a cap in any ten seconds, as a share of a core."""
        self.completed: dict[JobKind, int] = dict.fromkeys(RULES, 0)
        for zone in range(len(town.zones)):
            self._boundary(zone)

    # ---- who is awake

    def touched(self, person: int, until: float) -> None:
        """A session begins that the mesh can know of."""
        now = self._loop.now
        self.touched_at[person] = now
        self.seen_until[person] = max(self.seen_until[person], until)
        for worker in self.working.get(person, ()):
            self._look_later(person, worker)

    def work_began(self, worker: str, person: int, kind: JobKind) -> None:
        """A child has a row from now on."""
        self.trace.note(person, f"{kind.name.lower()} is computed by", worker)
        self.working[person][worker] = (kind, self._loop.now)
        now = self._loop.now
        if self._idle(person) < self._options.idle.phase1 - TOLERANCE:
            if self._deadline(person, worker) < now:
                self.trace.violated("awake", person, f"{worker} begins though they are awake")
            else:
                self._look_later(person, worker)
        elif not self._allowed(person, kind):
            self.trace.violated("phase", person, f"{worker} runs {kind.name} in too low a phase")

    def work_ended(self, worker: str, person: int) -> None:
        self.trace.note(person, "is left by", worker)
        workers = self.working[person]
        _, began = workers.pop(worker)
        if self.touched_at[person] > began:
            thawed = self.legs.last_end(way.frozen(worker), self.touched_at[person], self._loop.now)
            since = max(self.touched_at[person], thawed or -math.inf)
            self.stopped.append(max(self._loop.now - since, 0.0))
        if not workers:
            del self.working[person]

    def _idle(self, person: int) -> float:
        return self._loop.now - self.seen_until[person]

    def _allowed(self, person: int, kind: JobKind) -> bool:
        """Whether the phase is deep enough, by one's own clock or that of somebody in error."""
        now = self._loop.now
        idle = idle_phase(self._idle(person) + TOLERANCE, self._options.idle)
        zone = self.zone_of[person]
        window = max(
            self.caps[zone],
            self._cap(zone, now + TOLERANCE),
            self._cap(zone, now - TOLERANCE),
        )
        matched = self._matched(person, kind)
        here = instant(self._loop.start + now + TOLERANCE)
        last = None if matched == -math.inf else here
        if math.isfinite(matched):
            last = instant(self._loop.start + matched)
        return effective_phase(idle, window, last_match=last, now=here) >= RULES[kind].phase

    def _matched(self, person: int, kind: JobKind) -> float:
        """When the match was made that counts; what follows a match may run where the match did."""
        follows = kind is JobKind.PREPARE
        return self.matched_before[person] if follows else self.matched_at[person]

    def _deadline(self, person: int, worker: str) -> float:
        """Until when work on whoever touched the phone may go on there."""
        now = self._loop.now
        touched = self.touched_at[person]
        until = touched + HALT_SECONDS
        scheduler = self.scheduler_of.get(worker, "")
        cuts = [way.TOUCHES, way.watch(scheduler), way.stream(worker)]
        again = True
        while again:
            # One cut may hide another: each that is met prolongs the time in which others count.
            again = False
            for leg in tuple(cuts):
                if self.legs.broken(leg, touched, until):
                    cuts.remove(leg)
                    until += CUT_SECONDS
                    again = True
        for process in (worker, scheduler):
            thawed = self.legs.last_end(way.frozen(process), touched, now)
            if thawed is not None:
                until = max(until, thawed + HALT_SECONDS)
        return until

    def _look_later(self, person: int, worker: str) -> None:
        at = max(self._deadline(person, worker), self._loop.now)
        self._loop.at(at + 1e-6, self._look, person, worker, self.touched_at[person])

    def _look(self, person: int, worker: str, touched: float) -> None:
        if worker not in self.working.get(person, ()) or self.touched_at[person] != touched:
            return
        if self._deadline(person, worker) >= self._loop.now:
            self._look_later(person, worker)
        else:
            late = self._loop.now - touched
            self.trace.violated("awake", person, f"{worker} works on {late:.3f} s after a touch")

    # ---- windows

    def cap_of(self, person: int) -> Phase:
        return self.caps[self.zone_of[person]]

    def _cap(self, zone: int, at: float) -> Phase:
        if self.zones[zone] == ANYWHERE:
            return max(self._cap(each, at) for each in range(zone))
        name = self.zones[zone] or self._options.default_zone
        return self._options.window.cap(instant(self._loop.start + at), name)

    def _boundary(self, zone: int) -> None:
        """The cap of a zone changes: what may no longer run is to stop."""
        name = self.zones[zone] or self._options.default_zone
        here = instant(self._loop.start + self._loop.now)
        self.caps[zone] = self._options.window.cap(here, name)
        self.caps[-1] = max(self.caps[:-1])
        again = self._options.window.next_boundary(here, name).timestamp() - self._loop.start
        self._loop.at(again, self._boundary, zone)
        self._loop.after(TOLERANCE + HALT_SECONDS, self._closed, zone, self._loop.now)

    def _closed(self, zone: int, since: float) -> None:
        for person, workers in self.working.items():
            if self.zone_of[person] not in (zone, len(self.zones) - 1):
                continue
            for worker, (kind, _) in workers.items():
                if self.cap_of(person) >= RULES[kind].phase or self._solo(person, kind):
                    continue
                if self._excused(worker, since):
                    continue
                self.trace.violated("window", person, f"{worker} runs {kind.name} after its window")

    def _solo(self, person: int, kind: JobKind) -> bool:
        return self._loop.now - self._matched(person, kind) >= _SOLO_SECONDS - TOLERANCE

    def _excused(self, worker: str, since: float) -> bool:
        """A scheduler that is not heard cannot say that a window is over."""
        now = self._loop.now
        scheduler = self.scheduler_of.get(worker, "")
        broken = (way.stream(worker), way.frozen(worker), way.frozen(scheduler))
        return any(self.legs.broken(leg, since, now) for leg in broken)

    # ---- who holds what

    def claimed(self, worker: str, rows: Sequence[LeasedRow]) -> None:
        now = self._loop.now
        for row in rows:
            person, kind = number_of(row.user_id), row.kind
            self.trace.note(person, f"{kind.name.lower()} is claimed for", worker)
            for each in RULES:
                if self.held[each][person]:
                    what = f"{kind.name} is claimed while {each.name} is held"
                    self.trace.violated("twice", person, what)
                late = self.due[each][person] <= now - TOLERANCE
                if each < kind and late and self.barred[each][person] != math.inf:
                    self.trace.violated("order", person, f"{kind.name} before {each.name}")
            if self.due[kind][person] > now + TOLERANCE:
                self.trace.violated("early", person, f"{kind.name} is claimed before it is due")
            if row.token <= self.tokens.get((person, kind), JobToken(0)):
                self.trace.violated("fence", person, f"{kind.name} has an old fence")
            self.tokens[person, kind] = row.token
            self.holders[person, kind] = (worker, row.token)
            self.held[kind][person] = 1
            self.claimed_at[person] = now
            self.barred[kind][person] = -math.inf

    def given_back(self, jobs: Iterable[tuple[UserId, JobKind, JobToken]]) -> None:
        """Released, or taken when the lease ran out."""
        for user, kind, token in jobs:
            person = number_of(user)
            if self.holders.get((person, kind), ("", JobToken(-1)))[1] == token:
                self.trace.note(person, f"{kind.name.lower()} is given back")
                self._let_go(person, kind)

    def kept(
        self, worker: str, kind: JobKind, users: Iterable[tuple[UserId, JobToken]], why: str
    ) -> None:
        """A worker's checkpoints were accepted under these fences."""
        for user, token in users:
            person = number_of(user)
            self.trace.note(person, f"{kind.name.lower()} is kept by {worker}:", why)
            self._fence(worker, person, kind, token)
            self._let_go(person, kind)
            if why == "woke" and self.touched_at[person] > -math.inf:
                self.durable.append(self._loop.now - self.touched_at[person])

    def failed(
        self,
        worker: str,
        kind: JobKind,
        tokens: Mapping[UserId, JobToken],
        dead: Mapping[UserId, bool],
    ) -> None:
        for user in dead:
            person = number_of(user)
            self.trace.note(person, f"{kind.name.lower()} fails at", worker)
            self._fence(worker, person, kind, tokens[user])
            self._let_go(person, kind)
            for_ever = dead[user]
            self.barred[kind][person] = math.inf if for_ever else self._loop.now + _BACK_OFF_SECONDS

    def done(
        self,
        worker: str,
        kind: JobKind,
        tokens: Mapping[UserId, JobToken],
        due: Mapping[UserId, float],
        users: Iterable[UserId],
    ) -> None:
        """A worker's results were accepted; due again then."""
        now = self._loop.now
        for user in users:
            person = number_of(user)
            self.trace.note(person, f"{kind.name.lower()} is done by", worker)
            self._fence(worker, person, kind, tokens[user])
            self._let_go(person, kind)
            if self.due[kind][person] > now + TOLERANCE:
                self.trace.violated("double", person, f"{kind.name} is done again by {worker}")
            self.due[kind][person] = math.inf if kind is JobKind.PREPARE else due[user]
            self.completed[kind] += 1
            if kind is JobKind.MATCH:
                self.matched_before[person] = self.matched_at[person]
                self.matched_at[person] = self.claimed_at[person]
                ready = self.due[JobKind.PREPARE][person]
                self.due[JobKind.PREPARE][person] = min(ready, self.claimed_at[person])

    def _fence(self, worker: str, person: int, kind: JobKind, token: JobToken) -> None:
        if self.holders.get((person, kind)) != (worker, token):
            self.trace.violated("stale", person, f"{worker} writes {kind.name} it no longer holds")

    def _let_go(self, person: int, kind: JobKind) -> None:
        self.holders.pop((person, kind), None)
        self.held[kind][person] = 0

    def marked_due(self, person: int, zone: int) -> None:
        """The profile was changed."""
        first = self.kinds[0]
        self.trace.note(person, "changes the profile, zone", self.zones[zone] or "default")
        self.zone_of[person] = zone
        self.due[first][person] = min(self.due[first][person], self._loop.now)
        self.barred[first][person] = -math.inf
        self._let_go(person, first)

    # ---- caps

    def new_worker(self, worker: str) -> None:
        """Another process of that name: nothing is known of what the last one took."""
        self.meters.pop(worker, None)

    def dispatched(self, worker: str, kind: JobKind, rows: int, cap: float) -> None:
        """A batch goes to a worker."""
        rule = RULES[kind]
        if cap > rule.cpu_cap or rows > rule.batch:
            self.trace.violated("cap", NOBODY, f"{worker}: {rows} of {kind.name} at {cap:.0%}")

    def used(self, worker: str, kind: JobKind, used: float, allowed: float) -> None:
        """CPU seconds since the last reading."""
        self.cpu_used[kind] += used
        self.cpu_allowed += allowed
        over = self.meters[worker].read(self._loop.now, used=used, allowed=allowed)
        self.cap_worst = max(self.cap_worst, over)
        if over > POINT:
            self.trace.violated("cap", NOBODY, f"{worker} is {over:.2%} of a core above its cap")
