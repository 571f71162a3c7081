"""The activity service, as far as schedulers see it: a log of who fell asleep and who woke."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Protocol

from eros_activity.domain.sight import pause_after
from eros_cli.simulation import legs as way
from eros_cli.simulation.judge import Judge
from eros_cli.simulation.loop import Loop, Process
from eros_cli.simulation.options import Options
from eros_cli.simulation.town import Town
from eros_scheduler.core.model import Transition, TransitionKind

SWEEP_SECONDS: Final = 1.0
_STEP_SECONDS: Final = 1.0
_KEPT: Final = 20_000
_NEVER_HEARD: Final = 0.5
"""Of the touches that happen while activity is deaf, so many are lost for good."""


class Watcher(Protocol):
    """A reader of the log."""

    def news(self) -> None:
        """There is something new."""


class Activity(Process):
    """`on_session` is told of each session's begin, as person and its end."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        town: Town,
        judge: Judge,
        random: Random,
        on_session: Callable[[int, float], None],
    ) -> None:
        super().__init__(loop, "activity", random.uniform(-0.5, 0.5))
        self._options = options
        self._town = town
        self._judge = judge
        self._random = random
        self._on_session = on_session
        self._next = 0
        self._last = town.last_seen.tolist()
        """As heard of."""
        self._asleep = bytearray(options.users)
        self._resting: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._deaf_since = self._deaf_until = 0.0
        self._log: list[Sequence[Transition]] = []
        self._dropped = 0
        self.paused_until = 0.0
        """Wall."""
        self.watchers: list[Watcher] = []

    def begin(self) -> None:
        super().begin()
        rest = self._options.idle.phase1
        for person, last in enumerate(self._last):
            if last + rest <= 0:
                self._asleep[person] = 1
            else:
                self._rest(person, last)
        self.after(SWEEP_SECONDS, self._sweep)
        self._look_ahead()

    # ---- touches

    def _look_ahead(self) -> None:
        if self._next < len(self._town.starts):
            self.loop.at(float(self._town.starts[self._next]), self._session)

    def _session(self) -> None:
        """The next one takes up the phone."""
        person = int(self._town.who[self._next])
        until = float(self._town.ends[self._next])
        self._next += 1
        self._look_ahead()
        self.touch(person, until)

    def touch(self, person: int, until: float) -> None:
        """Somebody takes up the phone until then."""
        now = self.loop.now
        self._on_session(person, until)
        if self._deaf_until <= now:
            self._judge.touched(person, until)
            self._heard(person, until)
            return
        heard_at = self._deaf_until + self._random.uniform(0, self._options.heartbeat_seconds)
        if until < heard_at and self._random.random() < _NEVER_HEARD:
            # Nobody will ever know, so nobody can be blamed.
            self._judge.trace.note(person, "touches the phone, unheard")
            return
        self._judge.touched(person, until)
        self.loop.at(heard_at, self._heard, person, until)

    def _heard(self, person: int, until: float) -> None:
        # Whoever is heard of late was last seen then.
        last = max(self._last[person], until, self.loop.now)
        self._last[person] = last
        self._rest(person, last)
        if self._asleep[person]:
            self._asleep[person] = 0
            self._judge.trace.note(person, "wakes")
            self._append([self._transition(person, TransitionKind.WOKE, self.loop.now)])

    def _rest(self, person: int, last: float) -> None:
        self._resting[int(last + self._options.idle.phase1) + 1].append((person, last))

    def _sweep(self) -> None:
        self.after(SWEEP_SECONDS, self._sweep)
        fell: list[Transition] = []
        for person, last in self._resting.pop(round(self.loop.now), ()):
            if self._last[person] == last and not self._asleep[person]:
                self._asleep[person] = 1
                self._judge.trace.note(person, "falls asleep")
                fell.append(self._transition(person, TransitionKind.ASLEEP, last))
        if fell:
            self._append(fell)

    def _transition(self, person: int, kind: TransitionKind, at: float) -> Transition:
        at += self.skew
        touched = self.loop.start + at if kind is TransitionKind.WOKE else 0.0
        return Transition(self._town.users[person], kind, self.moment(at), touched)

    # ---- what watchers read

    def _append(self, transitions: Sequence[Transition]) -> None:
        self._log.append(transitions)
        if len(self._log) > 2 * _KEPT:
            del self._log[:_KEPT]
            self._dropped += _KEPT
        for watcher in self.watchers:
            watcher.news()

    @property
    def end(self) -> int:
        """The cursor behind everything."""
        return self._dropped + len(self._log)

    def read(self, cursor: int) -> list[Transition] | None:
        """What came after a cursor; None when that is no longer kept."""
        if cursor < self._dropped:
            return None
        return [each for entry in self._log[cursor - self._dropped :] for each in entry]

    def sleepers(self) -> list[Transition]:
        """Everybody asleep, with their last interaction."""
        return [
            self._transition(person, TransitionKind.ASLEEP, self._last[person])
            for person, asleep in enumerate(self._asleep)
            if asleep
        ]

    # ---- blindness

    def deafen(self, seconds: float) -> None:
        """No touch arrives for so long. After the silence the gap is noticed, and paused for."""
        now = self.loop.now
        if self._deaf_until <= now:
            self._deaf_since = now
            self._judge.legs.down(way.TOUCHES, now)
            self.after(self._options.silence_seconds, self._look)
        self._deaf_until = max(self._deaf_until, now + seconds)
        self.at(self._deaf_until, self._hears)

    def _look(self) -> None:
        """While it is deaf, the pause grows."""
        if self._deaf_until > self.loop.now:
            self._blind()
            self.after(_STEP_SECONDS, self._look)

    def _hears(self) -> None:
        if self._deaf_until <= self.loop.now:
            self._judge.legs.up(way.TOUCHES, self.loop.now)
            self._blind()

    def _blind(self) -> None:
        gap = self.loop.now - self._deaf_since
        interval = self._options.heartbeat_seconds
        pause = pause_after(gap, self.wall(), interval, "signs of life may be lost")
        self.paused_until = max(self.paused_until, pause.until)
        for watcher in self.watchers:
            watcher.news()
