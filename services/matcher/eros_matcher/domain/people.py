"""Who can be shown to whom: the hard filters, one pair at a time. Pure.

The engine applies the same rules to millions of pairs at once (`eros_matcher.engine`); this is
the plain form, for few pairs and for the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

AGE_MIN: Final = 18
AGE_MAX: Final = 120
"""Open age bounds."""
EARTH_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""
ANYWHERE_KM: Final = 20_000.0
"""From this limit on, distance does not matter: nobody is farther away than 20,016 km."""


class Gender(IntFlag):
    """One bit each; a mask says whom somebody seeks."""

    FEMALE = 1
    MALE = 2
    NONBINARY = 4


GENDERS: Final[dict[str, Gender]] = {
    "female": Gender.FEMALE,
    "male": Gender.MALE,
    "nonbinary": Gender.NONBINARY,
}
"""By the names that profiles use."""


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees, WGS 84."""

    lat: float
    lon: float

    def xyz(self) -> tuple[float, float, float]:
        """Kilometres from the Earth's centre, on a sphere."""
        lat, lon = math.radians(self.lat), math.radians(self.lon)
        level = EARTH_KM * math.cos(lat)
        return level * math.cos(lon), level * math.sin(lon), EARTH_KM * math.sin(lat)


@dataclass(frozen=True, slots=True)
class Filters:
    """Of somebody in the market. Ages are years, as well as a birth year can tell.

    `max_km` is None where distance does not matter. Without a place of one's own there is nothing
    to measure from, so one's own limit is void; other people's limits then exclude one.
    """

    birth_year: int
    gender: Gender
    seeks: Gender
    age_min: int
    age_max: int
    place: Place | None
    max_km: float | None

    def accepts(self, other: Filters, year: int, distance_km: float | None) -> bool:
        """Whether `other` is somebody this person wants to see."""
        return (
            bool(self.seeks & other.gender)
            and self.age_min <= year - other.birth_year <= self.age_max
            and self._near(distance_km)
        )

    def _near(self, distance_km: float | None) -> bool:
        if self.max_km is None or self.place is None:
            return True
        return distance_km is not None and distance_km <= self.max_km


def fit(a: Filters, b: Filters, year: int) -> bool:
    """Whether both pass each other's filters in this year."""
    distance = distance_km(a.place, b.place)
    return a.accepts(b, year, distance) and b.accepts(a, year, distance)


def distance_km(a: Place | None, b: Place | None) -> float | None:
    """Great-circle distance (haversine), None where a place is unknown."""
    if a is None or b is None:
        return None
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    north = math.sin((lat_b - lat_a) / 2)
    east = math.sin(math.radians(b.lon - a.lon) / 2)
    h = north * north + math.cos(lat_a) * math.cos(lat_b) * east * east
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, h)))
