"""Blind means pause. Pure.

While signs of life may be lost, nobody can be held to be asleep: work on everybody pauses until
one heartbeat interval after sight is back, because by then whoever is awake has been heard.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be worked on until this wall second."""

    until: float
    reason: str


def pause_after(gap: float, now: float, interval: float, reason: str) -> Pause:
    """The pause for having been blind for ``gap`` seconds up to ``now`` (all wall seconds).

    It lasts the gap again and one heartbeat interval. A gap counts for one interval at the most:
    within that, whoever is awake is heard, however long nobody listened before.
    """
    return Pause(now + min(max(gap, 0.0), interval) + interval, reason)


def longest_pause(interval: float) -> float:
    """How many seconds from now a pause lasts at the most."""
    return 2 * interval


@dataclass(frozen=True, slots=True)
class Blind:
    """One part has not worked since (seconds of any clock), and why."""

    part: str
    since: float
    why: str


class Sight:
    """Which parts of watching work. A part that fails for longer than ``silence`` is blind."""

    __slots__ = ("_failing", "_silence")

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._failing: dict[str, Blind] = {}

    def fails(self, part: str, now: float, why: str) -> None:
        """A part failed, for the first time in a row or again."""
        self._failing.setdefault(part, Blind(part, now, why))

    def works(self, part: str, now: float) -> Blind | None:
        """A part worked; what it was blind for, if it was."""
        failed = self._failing.pop(part, None)
        return failed if failed is not None and self._is_blind(failed, now) else None

    def blind(self, now: float) -> list[Blind]:
        """The parts that are blind now."""
        return [failed for failed in self._failing.values() if self._is_blind(failed, now)]

    def _is_blind(self, failed: Blind, now: float) -> bool:
        return now - failed.since >= self._silence
