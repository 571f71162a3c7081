"""The people: where they live, when they sleep, when they touch the phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from eros_cli.simulation.options import Options
from eros_common.ids import UserId
from eros_scheduler.core.model import Zone

ZONES: Final[Sequence[tuple[str, float]]] = (
    ("Europe/Berlin", 14),
    ("Europe/London", 8),
    ("Europe/Madrid", 7),
    ("Africa/Cairo", 4),
    ("America/New_York", 12),
    ("America/Chicago", 6),
    ("America/Los_Angeles", 8),
    ("America/Sao_Paulo", 8),
    ("Asia/Tokyo", 8),
    ("Asia/Kolkata", 10),
    ("Asia/Jakarta", 6),
    ("Australia/Sydney", 4),
    ("Asia/Kathmandu", 1),
    ("Australia/Lord_Howe", 1),  # half an hour of summer time
    ("Pacific/Chatham", 1),
    ("", 2),  # no zone given: the default
)
_HISTORY: Final = 30 * 3600.0
_NIGHT_WORKERS: Final = 0.06
_NEVER_MATCHED: Final = 0.03
_GAP_SECONDS: Final = 10_800.0
_SESSION_SECONDS: Final = 300.0
_WAKES_AT_NIGHT: Final = 0.1
"""Of the times a person would look at the phone by day, how many happen in their sleep."""
_DAY: Final = 86_400.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Town:
    """Everybody, by number; times are seconds since the start.

    A session is from the first touch to the last, none of its pauses as long as an idle phase.
    `starts`, `who` and `ends` are sorted by start; before the start, `last_seen` sums them up.
    """

    users: tuple[UserId, ...]
    zones: tuple[Zone, ...]
    zone_of: Ints
    never_matched: NDArray[np.bool_]
    last_seen: Floats
    starts: Floats
    who: Ints
    ends: Floats


def person(number: int) -> UserId:
    """Nobody looks into an id, so here it is a plain number: looked up in a fraction of the time
    that a UUID takes."""
    return cast("UserId", number + 1)


def number_of(user: UserId) -> int:
    """Of a UUID, too: the learner's is 0."""
    return int(user) - 1


def build(options: Options) -> Town:
    """The same people for the same options."""
    rng = np.random.Generator(np.random.PCG64(options.seed))
    count = options.users
    weights = np.array([weight for _, weight in ZONES], dtype=np.float64)
    zone_of = rng.choice(len(ZONES), size=count, p=weights / weights.sum()).astype(np.int32)
    offsets = np.array([_offset(name or options.default_zone, options.start) for name, _ in ZONES])
    worker = rng.random(count) < _NIGHT_WORKERS
    bed = np.where(worker, rng.normal(8.5, 1.0, count), rng.normal(23.25, 1.0, count)) * 3600
    asleep = np.clip(rng.normal(7.75, 1.0, count), 5.0, 10.0) * 3600
    local = options.start.timestamp() % _DAY + offsets[zone_of]
    starts, who, ends = _sessions(rng, options.seconds, local, bed, asleep)
    past = starts <= 0
    last_seen = np.full(count, -_HISTORY)
    np.maximum.at(last_seen, who[past], ends[past])
    return Town(
        users=tuple(person(number) for number in range(count)),
        zones=tuple(Zone(name) for name, _ in ZONES),
        zone_of=zone_of,
        never_matched=rng.random(count) < _NEVER_MATCHED,
        last_seen=last_seen,
        starts=starts[~past],
        who=who[~past],
        ends=ends[~past],
    )


def _sessions(
    rng: np.random.Generator, seconds: float, local: Floats, bed: Floats, asleep: Floats
) -> tuple[Floats, Ints, Floats]:
    """Looks at the phone at random times, most of them dropped while the person sleeps."""
    count = len(bed)
    at = -_HISTORY + rng.exponential(_GAP_SECONDS, count)
    people = np.arange(count, dtype=np.int32)
    found: list[tuple[Floats, Ints, Floats]] = []
    while len(people):
        in_bed = (at + local[people] - bed[people]) % _DAY < asleep[people]
        awake = ~in_bed | (rng.random(len(people)) < _WAKES_AT_NIGHT)
        length = np.maximum(10.0, rng.exponential(_SESSION_SECONDS, len(people)))
        found.append((at[awake], people[awake], (at + length)[awake]))
        at = at + np.where(awake, length, 0.0) + rng.exponential(_GAP_SECONDS, len(people))
        going = at < seconds
        at, people = at[going], people[going]
    starts, who, ends = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(starts, kind="stable")
    return starts[order], who[order], ends[order]


def _offset(zone: str, at: datetime) -> float:
    return (at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds()
