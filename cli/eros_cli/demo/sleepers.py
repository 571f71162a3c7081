"""When people of the demo go to bed, lie awake and rise. Pure; night-clock instants throughout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from eros_common.ids import UserId
from eros_common.phases import Window

# Bedtime lies around a quarter of an hour before the window opens, rising after it closes.
_TO_BED = timedelta(minutes=-15)
_TO_BED_SPREAD = timedelta(minutes=40)
_RISE = timedelta(minutes=20)
_RISE_SPREAD = timedelta(minutes=10)
_EARLIEST_TO_BED = timedelta(minutes=-75)
_LATEST_TO_BED = timedelta(minutes=90)
# One in twenty-five takes the phone once in the middle of the night, for four minutes.
_RESTLESS = 0.04
_AWAKE_AT_NIGHT = timedelta(minutes=4)
_MARGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """One person's night: awake until `to_bed`, in `restless`..+4 min, and from `rise`."""

    user_id: UserId
    to_bed: datetime
    rise: datetime
    restless: datetime | None = None

    def awake(self, now: datetime) -> bool:
        """Whether they hold the phone at `now`."""
        if now < self.to_bed or now >= self.rise:
            return True
        return self.restless is not None and self.restless <= now < self.restless + _AWAKE_AT_NIGHT


@dataclass(frozen=True, slots=True)
class Span:
    """What is played of a night: from before the first bedtime to after the last window."""

    evening: date
    start: datetime
    end: datetime


def next_span(zones: Iterable[str], after: datetime, window: Window) -> Span:
    """The first night in these zones that is still wholly ahead at `after`."""
    known = sorted(set(zones))
    evening = after.date() - timedelta(days=1)
    while (played := span(known, evening, window)).start < after:
        evening += timedelta(days=1)
    return played


def span(zones: Iterable[str], evening: date, window: Window) -> Span:
    """What to play so that everybody's window of the night after `evening` lies in it."""
    nights = [window.night(evening + timedelta(days=1), zone) for zone in sorted(set(zones))]
    return Span(
        evening,
        min(night.start for night in nights) + _EARLIEST_TO_BED - _MARGIN,
        max(night.end for night in nights) + _MARGIN,
    )


def plan(
    zones: Mapping[UserId, str], evening: date, window: Window, seed: int
) -> tuple[Sleeper, ...]:
    """Everybody's night after `evening`; the same for the same seed and people."""
    random = Random(seed)
    return tuple(_sleeper(random, user, zone, evening, window) for user, zone in zones.items())


def _sleeper(random: Random, user: UserId, zone: str, evening: date, window: Window) -> Sleeper:
    night = window.night(evening + timedelta(days=1), zone)
    to_bed = _TO_BED + random.gauss(0.0, 1.0) * _TO_BED_SPREAD
    rise = _RISE + abs(random.gauss(0.0, 1.0)) * _RISE_SPREAD
    restless = night.start + random.uniform(0.2, 0.9) * (night.end - night.start)
    return Sleeper(
        user,
        night.start + min(max(to_bed, _EARLIEST_TO_BED), _LATEST_TO_BED),
        night.end + rise,
        restless if random.random() < _RESTLESS else None,
    )
