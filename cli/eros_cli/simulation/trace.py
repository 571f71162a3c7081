"""What happened, kept for when something goes wrong."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from eros_cli.simulation.loop import Loop

_KEPT: Final = 200_000
_SHOWN: Final = 25
_VIOLATIONS_MOST: Final = 100
LEARNER: Final = -1
"""Nobody's work, as the number of a person."""
NOBODY: Final = -2


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never happen; `events`: the last ones of the person, or of all."""

    at: float
    rule: str
    person: int
    what: str
    events: tuple[str, ...]


class Trace:
    """The last events of everybody, all events of one person, and what must not happen."""

    def __init__(self, loop: Loop, follow: int | None) -> None:
        self._loop = loop
        self._follow = follow
        self._last: deque[tuple[float, int, str, object]] = deque(maxlen=_KEPT)
        self.followed: list[str] = []
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()

    def note(self, person: int, what: str, detail: object = "") -> None:
        """`person` may be NOBODY: of interest for all."""
        entry = (self._loop.now, person, what, detail)
        self._last.append(entry)
        if self._follow is not None and person in (self._follow, NOBODY):
            self.followed.append(_text(entry))

    def violated(self, rule: str, person: int, what: str) -> None:
        self.counts[rule] += 1
        if len(self.violations) >= _VIOLATIONS_MOST:
            return
        events = [_text(each) for each in self._last if each[1] in (person, NOBODY)][-_SHOWN:]
        found = Violation(self._loop.now, rule, person, what, tuple(events))
        self.violations.append(found)
        if person == self._follow:
            self.followed.append(f"{found.at:12.3f}  VIOLATION: {what}")

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def _text(entry: tuple[float, int, str, object]) -> str:
    at, person, what, detail = entry
    whom = "" if person == NOBODY else f"person {person} "
    return f"{at:12.3f}  {whom}{what} {detail}".rstrip()
