"""What a person is shown, and for which day. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Final
from uuid import UUID

from eros_common.ids import UserId
from eros_common.phases import DAY, Window

BEYOND: Final = 50
"""People beyond the daily list, the recommendations."""
FRESH_DAYS: Final = 30
"""For so many days nobody comes again, unless there is nobody else."""


class Source(IntEnum):
    """What made a list; the numbers are those of the stored rows."""

    SCORE = 1
    MATCH = 2
    PREVIEW = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One person for another, with why. `score` is how likely both say yes, 0 to 1."""

    other_id: UserId
    score: float
    distance_km: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchList:
    """A daily list or recommendations, the best first."""

    user_id: UserId
    list_date: date
    source: Source
    suggestions: tuple[Suggestion, ...]
    model_version: int
    market_version: str
    created_at: datetime
    """Wall clock; also tells two lists of one date apart."""


def match_id(user_id: UserId, other_id: UserId, list_date: date) -> UUID:
    """The id of one person on another's list of a day (UUID version 8).

    Computed, so that a list that is made again keeps its ids, and so that fifty need no storing.
    """
    material = user_id.bytes + other_id.bytes + list_date.toordinal().to_bytes(4, "big")
    number = int.from_bytes(
        hashlib.blake2b(material, digest_size=16, person=b"eros.match").digest()
    )
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=number | (8 << 76) | (2 << 62))


def list_date_at(night: datetime, zone: str, window: Window) -> date:
    """The date of the newest list that must be there by now: that of the last window that ended.

    A window's own list appears while it is still open, so a newer one may be there already.
    """
    latest = window.latest_night(night, zone)
    if night >= latest.end:
        return latest.list_date
    return latest.list_date - DAY


def oldest_current(expected: date) -> date:
    """Lists from this date on are current: yesterday's stays until it is replaced."""
    return expected - DAY


def history_since(list_date: date) -> date:
    """Who was on a list of this date or later does not come again."""
    return list_date - timedelta(days=FRESH_DAYS)
