"""Phases: how far a person's idleness and the time of night let work on them go. Pure.

Two things cap the phase. *Idle phase*: seconds since the last interaction against three
thresholds. *Window phase*: the off-peak window in the person's own time zone, by the clock on
their wall. Work runs in the smaller of both, except for whoever had no completed match for a day:
they are served by their idle phase alone (people who work at night sleep outside the window).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

DAY: Final = timedelta(days=1)
STARVED_AFTER: Final = timedelta(hours=24)
"""Without a completed match for this long (night time), the window no longer counts."""


class Phase(IntEnum):
    """``processingPhase``: 0 awake, then ever deeper work."""

    AWAKE = 0
    FIRST = 1
    SECOND = 2
    THIRD = 3


@dataclass(frozen=True, slots=True)
class IdleThresholds:
    """From how many idle seconds (night time) each phase holds; strictly ascending, above 0."""

    phase1: float = 600.0
    phase2: float = 1800.0
    phase3: float = 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.phase1 < self.phase2 < self.phase3:
            raise ValueError("idle thresholds must be above 0 and strictly ascending")


def idle_phase(idle_seconds: float, thresholds: IdleThresholds) -> Phase:
    """The phase of this many idle seconds (night time); negative counts as 0."""
    if idle_seconds >= thresholds.phase3:
        return Phase.THIRD
    if idle_seconds >= thresholds.phase2:
        return Phase.SECOND
    if idle_seconds >= thresholds.phase1:
        return Phase.FIRST
    return Phase.AWAKE


def effective_phase(
    idle: Phase, window: Phase, *, last_match: datetime | None, now: datetime
) -> Phase:
    """The phase work runs in. ``last_match`` is the last completed match, night time."""
    if last_match is None or now - last_match >= STARVED_AFTER:
        return idle
    return min(idle, window)


@dataclass(frozen=True, slots=True)
class Night:
    """One occurrence of the window in one zone; instants in UTC, in order.

    ``list_date`` is the local date on which it ends: the date of the daily lists it makes.
    """

    list_date: date
    start: datetime
    phase2: datetime
    phase3: datetime
    end: datetime

    def cap(self, instant: datetime) -> Phase:
        """The window phase at an instant; outside of it, ``AWAKE``."""
        if not self.start <= instant < self.end:
            return Phase.AWAKE
        if instant >= self.phase3:
            return Phase.THIRD
        return Phase.SECOND if instant >= self.phase2 else Phase.FIRST

    @property
    def boundaries(self) -> tuple[datetime, datetime, datetime, datetime]:
        """The instants at which the cap may change."""
        return (self.start, self.phase2, self.phase3, self.end)


@dataclass(frozen=True, slots=True)
class Window:
    """The off-peak window as times on a local clock: start <= phase2 <= phase3 < end, midnight
    passed at most once, less than 24 hours in all.

    A local time that does not exist (clocks go forward) is the instant the clocks change; one that
    exists twice (clocks go back) is the first. So the order always holds and the cap never goes
    back within a night.
    """

    start: time = time(23)
    phase2: time = time(2)
    phase3: time = time(5)
    end: time = time(7)

    def __post_init__(self) -> None:
        if any(t.tzinfo is not None for t in (self.start, self.phase2, self.phase3, self.end)):
            raise ValueError("window times are local times without a zone")
        offsets = [self._after_start(t) for t in (self.phase2, self.phase3, self.end)]
        if offsets != sorted(offsets) or offsets[2] == timedelta() or offsets[1] == offsets[2]:
            raise ValueError("the window needs start <= phase2 <= phase3 < end, within 24 hours")

    def _after_start(self, at: time) -> timedelta:
        reference = date(2000, 1, 1)
        return (datetime.combine(reference, at) - datetime.combine(reference, self.start)) % DAY

    @property
    def crosses_midnight(self) -> bool:
        """The window ends on the day after the one on which it starts."""
        return self.end <= self.start

    def night(self, list_date: date, zone: str) -> Night:
        """The occurrence that ends on a local date in an IANA zone."""
        return _night(self, list_date, zone)

    def latest_night(self, instant: datetime, zone: str) -> Night:
        """The occurrence that started last, at or before an instant."""
        local = _local_date(instant, zone)
        for days in (1, 0, -1, -2):
            night = self.night(local + days * DAY, zone)
            if night.start <= instant:
                return night
        # A zone may skip at most one whole day; four candidates always hold one.
        raise AssertionError(f"no window starts before {instant} in {zone}")

    def next_night(self, instant: datetime, zone: str) -> Night:
        """The first occurrence that starts after an instant."""
        local = _local_date(instant, zone)
        for days in (-1, 0, 1, 2, 3):
            night = self.night(local + days * DAY, zone)
            if night.start > instant:
                return night
        raise AssertionError(f"no window starts after {instant} in {zone}")

    def cap(self, instant: datetime, zone: str) -> Phase:
        """The window phase at an instant in a zone."""
        return self.latest_night(instant, zone).cap(instant)

    def next_start(self, instant: datetime, zone: str) -> datetime:
        """The start (UTC) of the first window that starts after an instant."""
        return self.next_night(instant, zone).start

    def next_boundary(self, instant: datetime, zone: str) -> datetime:
        """The first instant (UTC) after the given one at which the cap may change."""
        for boundary in self.latest_night(instant, zone).boundaries:
            if boundary > instant:
                return boundary
        return self.next_start(instant, zone)

    def list_date(self, instant: datetime, zone: str) -> date:
        """The date of the daily list that work at an instant makes.

        Inside a window, and after it until the next one starts, the local date on which it ends.
        """
        return self.latest_night(instant, zone).list_date


def is_zone(name: str) -> bool:
    """Whether IANA's database has a zone of this name."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    # ZoneInfo opens whatever file a system keeps beside the zones: localtime, posix/…, right/….
    listed = (resources.files("tzdata") / "zones").read_text(encoding="ascii").split()
    # What a system says that nobody has set up.
    return frozenset(listed) - {"Factory"}


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    # ZoneInfoNotFoundError is a KeyError; callers get one kind of error for a bad name.
    try:
        return ZoneInfo(name)
    except KeyError:
        raise ValueError(f"unknown time zone {name!r}") from None


def _local_date(instant: datetime, zone: str) -> date:
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(_zone(zone)).date()


@lru_cache(maxsize=8192)
def _night(window: Window, list_date: date, zone: str) -> Night:
    tz = _zone(zone)
    first = list_date - DAY if window.crosses_midnight else list_date

    def instant(at: time) -> datetime:
        day = first if at >= window.start else list_date
        return resolve(datetime.combine(day, at), tz)

    return Night(
        list_date,
        instant(window.start),
        instant(window.phase2),
        instant(window.phase3),
        instant(window.end),
    )


def resolve(local: datetime, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a naive local time: the first of two, or the change when there is none.

    Semantics of the ``fold`` attribute: PEP 495.
    """
    early = local.replace(tzinfo=zone, fold=0)
    instant = early.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    # In a gap fold=0 takes the offset before the change and fold=1 the one after, so the change
    # lies between the two readings; halve to the second.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = instant
    offset_after = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset_after:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
