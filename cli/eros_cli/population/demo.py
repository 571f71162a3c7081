"""The demo population: people of six European cities, the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from google.protobuf import struct_pb2

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_cli.population.names import draw_name
from eros_cli.population.places import EUROPE, Cities, draw_location

SOURCE = "demo"
DEFAULT_SEED = 20260214

# Interests come in circles: who is in one has several of its interests, so that
# people differ in taste and not only in luck.
_CIRCLES = (
    ("hiking", "climbing", "camping", "trail running", "wild swimming", "birdwatching"),
    ("cinema", "theatre", "museums", "photography", "drawing", "poetry"),
    ("cooking", "baking", "wine", "coffee", "farmers' markets", "street food"),
    ("techno", "concerts", "vinyl", "dancing", "festivals", "karaoke"),
    ("board games", "chess", "science fiction", "video games", "astronomy", "programming"),
    ("yoga", "meditation", "volunteering", "gardening", "reading", "cats"),
    ("football", "cycling", "tennis", "rowing", "running", "dogs"),
    ("travel", "languages", "history", "architecture", "sailing", "road trips"),
)
_OPENINGS = (
    "Usually found near {0}, sometimes near {1}.",
    "I moved here for work and stayed for the {0}.",
    "Ask me about {0}. I will ask you about {1}.",
    "Good at {0}, learning {1}.",
    "Looking for somebody to share {0} with.",
)


def people(count: int, seed: int = DEFAULT_SEED) -> Iterator[accounts_pb2.ImportedAccount]:
    """Yields `count` people; person i is the same for every count with the same seed."""
    for index in range(count):
        yield accounts_pb2.ImportedAccount(
            external_id=f"{seed}-{index:06d}", profile=profile(Random(f"{seed}/{index}"))
        )


def profile(random: Random, cities: Cities = EUROPE) -> profile_pb2.UpdateProfileRequest:
    """One whole person of one of `cities`, in the market from the start."""
    gender = random.choices(("female", "male", "nonbinary"), weights=(48, 49, 3))[0]
    age = min(70, 18 + int(random.gammavariate(2.2, 6.0)))
    interests = _draw_interests(random)
    return profile_pb2.UpdateProfileRequest(
        name=draw_name(random, gender),
        bio=random.choice(_OPENINGS).format(*interests[:2]),
        age=age,
        location=draw_location(random, cities),
        interests=string_list(interests),
        preferences=draw_preferences(random, age, draw_sought(random, gender)),
        gender=gender,
    )


def draw_sought(random: Random, gender: str) -> tuple[str, ...]:
    """Whom somebody of `gender` seeks."""
    if gender == "nonbinary":
        return ("female", "male", "nonbinary")
    same, other = gender, "male" if gender == "female" else "female"
    sought = random.choices(((other,), (same,), (same, other, "nonbinary")), weights=(86, 8, 6))
    return sought[0]


def draw_preferences(random: Random, age: int, genders: tuple[str, ...]) -> profile_pb2.Preferences:
    """An age range around one's own, and how far one would travel."""
    return profile_pb2.Preferences(
        genders=genders,
        age_min=max(18, age - random.randint(3, 12)),
        age_max=min(120, age + random.randint(3, 12)),
        max_distance_km=random.choice((10.0, 25.0, 40.0, 60.0, 100.0)),
    )


def string_list(values: tuple[str, ...] | list[str]) -> struct_pb2.ListValue:
    """`values` as the profile's list fields want them."""
    return struct_pb2.ListValue(values=[struct_pb2.Value(string_value=value) for value in values])


def _draw_interests(random: Random) -> list[str]:
    home, other = random.sample(_CIRCLES, 2)
    drawn = random.sample(home, 4) + random.sample(other, 2)
    random.shuffle(drawn)
    return drawn
