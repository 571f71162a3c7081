"""The analysis of one profile: what phase 1 computes, and the preview for a newcomer."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from eros.accounts.v1 import profile_pb2
from eros_common.ids import user_id_from_bytes
from eros_matcher.domain.people import (
    AGE_MAX,
    AGE_MIN,
    ANYWHERE_KM,
    GENDERS,
    Filters,
    Gender,
    Place,
)
from eros_matcher.features import interests as interest
from eros_matcher.features.model import (
    AGE_HARMONICS,
    AGE_PERIOD_YEARS,
    INTEREST_DIMS,
    PLACE_WAVES,
    Model,
)
from eros_matcher.features.record import Record

Floats = npt.NDArray[np.float32]

_ENOUGH_YEARS: Final = 20
_ENOUGH_PHOTOS: Final = 4
_ENOUGH_CHARACTERS: Final = 300


def analyze(profile: profile_pb2.MatchingProfile, model: Model, year: int) -> Record:
    """Filters and vector of a profile, as of a year."""
    filters = filters_of(profile)
    interests = interest.cleaned(profile.interests)
    return Record(
        user_id_from_bytes(profile.user_id),
        filters,
        profile.location.time_zone,
        interests,
        b"" if filters is None else vector_of(profile, filters, interests, model, year).tobytes(),
    )


def missing_of(profile: profile_pb2.MatchingProfile) -> tuple[str, ...]:
    """What keeps a person out of the market, as one would say it."""
    lacks = (
        (not profile.HasField("birth_year"), "your age"),
        (profile.gender not in GENDERS, "your gender"),
        (not _seeks(profile), "whom you seek"),
    )
    return tuple(name for lacking, name in lacks if lacking)


def filters_of(profile: profile_pb2.MatchingProfile) -> Filters | None:
    """The hard filters; None for somebody who is not in the market."""
    if missing_of(profile):
        return None
    preferences, location = profile.preferences, profile.location
    known = location.HasField("lat") and location.HasField("lon")
    limit = preferences.max_distance_km
    return Filters(
        birth_year=profile.birth_year,
        gender=GENDERS[profile.gender],
        seeks=_seeks(profile),
        age_min=preferences.age_min or AGE_MIN,
        age_max=preferences.age_max or AGE_MAX,
        place=Place(location.lat, location.lon) if known else None,
        max_km=limit if 0 < limit < ANYWHERE_KM else None,
    )


def vector_of(
    profile: profile_pb2.MatchingProfile,
    filters: Filters,
    interests: tuple[str, ...],
    model: Model,
    year: int,
) -> Floats:
    """Taste, trait, selectivity, popularity (`eros_matcher.features.model` has the formulas)."""
    shared = _interest_trait(interests)
    waves = AGE_HARMONIC_RATES * filters.birth_year
    sought = min(max(filters.birth_year, year - filters.age_max), year - filters.age_min)
    wanted = AGE_HARMONIC_RATES * sought
    weights = np.asarray(model.age_weights)
    place = _place_trait(filters.place, model)
    openness = min((filters.age_max - filters.age_min) / _ENOUGH_YEARS, 1.0)
    popularity = model.photos * min(len(profile.photos) / _ENOUGH_PHOTOS, 1.0)
    popularity += model.words * min(len(profile.bio) / _ENOUGH_CHARACTERS, 1.0)
    return np.concatenate(
        [
            model.interest_weight * shared,
            weights * np.cos(wanted),
            weights * np.sin(wanted),
            model.place_weight * place,
            shared,
            np.cos(waves),
            np.sin(waves),
            place,
            [model.base + model.openness * openness, popularity],
        ],
        dtype=np.float32,
    )


AGE_HARMONIC_RATES: Final = 2 * math.pi / AGE_PERIOD_YEARS * np.arange(1, AGE_HARMONICS + 1)
"""Radians per year."""


def _seeks(profile: profile_pb2.MatchingProfile) -> Gender:
    mask = Gender(0)
    for name in profile.preferences.genders:
        mask |= GENDERS.get(name, Gender(0))
    return mask


def _interest_trait(interests: tuple[str, ...]) -> npt.NDArray[np.float64]:
    if not interests:
        return np.zeros(INTEREST_DIMS)
    signs = np.sum([_signs(text) for text in interests], axis=0)
    scaled: npt.NDArray[np.float64] = signs / math.sqrt(INTEREST_DIMS * len(interests))
    return scaled


@lru_cache(maxsize=65_536)
def _signs(text: str) -> npt.NDArray[np.int8]:
    bits = np.unpackbits(np.frombuffer(interest.digest(text), dtype=np.uint8))
    # The first bytes are the token's.
    start = interest.TOKEN_BYTES * 8
    return bits[start : start + INTEREST_DIMS].astype(np.int8) * 2 - 1


def _place_trait(place: Place | None, model: Model) -> npt.NDArray[np.float64]:
    if place is None:
        return np.zeros(2 * PLACE_WAVES)
    phases = np.asarray(model.waves) @ np.asarray(place.xyz())
    return np.concatenate([np.cos(phases), np.sin(phases)]) / math.sqrt(PLACE_WAVES)
