"""People, their signs of life, and what happens to them. Pure.

Instants are seconds since 1970: on the night clock unless a name says ``wall``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from eros_common.phases import IdleThresholds, Phase, idle_phase

UserKey = NewType("UserKey", bytes)
"""A user id as its 16 bytes: what stores and events carry, by the thousand."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """One sign of life: when it was, and when (wall) it was received.

    ``trace``: the ``traceparent`` of the request, where it is traced.
    """

    user: UserKey
    at: float
    wall: float
    trace: str = ""


class TransitionKind(IntEnum):
    """The numbers of ``eros.activity.v1.TransitionKind``."""

    ASLEEP = 1
    WOKE = 2
    FORGOTTEN = 3


@dataclass(frozen=True, slots=True)
class Transition:
    """One person's change.

    ``at`` is the last interaction of who fell asleep or was forgotten, the touch of who woke;
    ``touched_wall`` is when that touch was received, 0 for the other kinds; ``trace`` is the
    touch's, if it had one.
    """

    user: UserKey
    kind: TransitionKind
    at: float
    touched_wall: float = 0.0
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as asleep, as a session, as gone; seconds on the night clock."""

    idle: IdleThresholds
    session_end: float
    forget_after: float

    def __post_init__(self) -> None:
        if not 0 < self.session_end < self.forget_after:
            raise ValueError("a session must end before a person is forgotten")
        if self.forget_after <= self.idle.phase3:
            raise ValueError("nobody may be forgotten before phase 3")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one person; ``session_start`` may be of a session that is over."""

    last_seen: float
    session_start: float | None

    def idle(self, now: float) -> float:
        """Seconds without an interaction; clocks that disagree a little never make it negative."""
        return max(0.0, now - self.last_seen)

    def phase(self, now: float, rules: Rules) -> Phase:
        return idle_phase(self.idle(now), rules.idle)

    def session_duration(self, now: float, rules: Rules) -> float:
        """Seconds since the open session began; 0 when none is open."""
        if self.session_start is None or self.idle(now) >= rules.session_end:
            return 0.0
        return max(0.0, now - self.session_start)


@dataclass(frozen=True, slots=True)
class Counts:
    """Everybody known, by idle phase."""

    awake: int = 0
    phase1: int = 0
    phase2: int = 0
    phase3: int = 0
    open_sessions: int = 0

    @property
    def known(self) -> int:
        return self.awake + self.phase1 + self.phase2 + self.phase3

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.awake + other.awake,
            self.phase1 + other.phase1,
            self.phase2 + other.phase2,
            self.phase3 + other.phase3,
            self.open_sessions + other.open_sessions,
        )
