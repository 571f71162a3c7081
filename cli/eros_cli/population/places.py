"""Places people are drawn to, with how many of a hundred live there."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians
from random import Random

from eros.accounts.v1 import profile_pb2

# One degree of latitude; a degree of longitude shrinks with the cosine of the latitude.
_KM_PER_DEGREE = 111.32


@dataclass(frozen=True, slots=True)
class City:
    """A city: coordinates in degrees, `weight` its share of the people, `radius_km` its size."""

    name: str
    lat: float
    lon: float
    time_zone: str
    weight: int
    radius_km: float


Cities = tuple[City, ...]

EUROPE: Cities = (
    City("Lisbon", 38.72, -9.14, "Europe/Lisbon", 14, 12.0),
    City("Dublin", 53.35, -6.26, "Europe/Dublin", 10, 11.0),
    City("Madrid", 40.42, -3.70, "Europe/Madrid", 22, 15.0),
    City("Paris", 48.86, 2.35, "Europe/Paris", 24, 15.0),
    City("Athens", 37.98, 23.73, "Europe/Athens", 16, 14.0),
    City("Helsinki", 60.17, 24.94, "Europe/Helsinki", 14, 12.0),
)

SAN_FRANCISCO_BAY: Cities = (
    City("San Francisco", 37.77, -122.42, "America/Los_Angeles", 54, 6.0),
    City("Oakland", 37.80, -122.27, "America/Los_Angeles", 14, 6.0),
    City("Berkeley", 37.87, -122.27, "America/Los_Angeles", 8, 4.0),
    City("San Mateo", 37.56, -122.32, "America/Los_Angeles", 6, 5.0),
    City("Palo Alto", 37.44, -122.14, "America/Los_Angeles", 6, 5.0),
    City("Hayward", 37.67, -122.08, "America/Los_Angeles", 5, 6.0),
    City("San Rafael", 37.97, -122.53, "America/Los_Angeles", 4, 5.0),
    City("Walnut Creek", 37.91, -122.06, "America/Los_Angeles", 3, 5.0),
)


def draw_location(random: Random, cities: Cities) -> profile_pb2.Location:
    """A home in one of `cities`, spread around its centre as a bell curve."""
    city = random.choices(cities, weights=[city.weight for city in cities])[0]
    north_km = random.gauss(0.0, city.radius_km / 2)
    east_km = random.gauss(0.0, city.radius_km / 2)
    return profile_pb2.Location(
        city=city.name,
        lat=round(city.lat + north_km / _KM_PER_DEGREE, 4),
        lon=round(city.lon + east_km / (_KM_PER_DEGREE * cos(radians(city.lat))), 4),
        time_zone=city.time_zone,
    )
