"""What people say about themselves and whom they seek."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from eros_common.ids import UserId


class Gender(StrEnum):
    """As stored and as said in REST."""

    FEMALE = "female"
    MALE = "male"
    NONBINARY = "nonbinary"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person lives. ``lat`` and ``lon`` are degrees (WGS 84), both or neither;
    ``time_zone`` is an IANA name, empty for the configured default."""

    city: str = ""
    lat: float | None = None
    lon: float | None = None
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Whom a person seeks. None is no limit; ages are years, the distance kilometres."""

    genders: tuple[Gender, ...] = ()
    age_min: int | None = None
    age_max: int | None = None
    max_distance_km: float | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A stored profile. ``email`` is None for people imported without one."""

    user_id: UserId
    name: str
    email: str | None = None
    bio: str = ""
    photos: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    birth_year: int | None = None
    gender: Gender | None = None
    place: Place = field(default_factory=Place)
    preferences: Preferences = field(default_factory=Preferences)
    version: int = 1

    def age(self, year: int) -> int | None:
        """Years, as well as a birth year can tell."""
        return None if self.birth_year is None else year - self.birth_year


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A checked change. None leaves the field as it is; a place and preferences replace the old
    ones as a whole."""

    name: str | None = None
    bio: str | None = None
    photos: tuple[str, ...] | None = None
    interests: tuple[str, ...] | None = None
    birth_year: int | None = None
    gender: Gender | None = None
    place: Place | None = None
    preferences: Preferences | None = None
