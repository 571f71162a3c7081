"""What a profile says, as numbers that do not depend on what was learned. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import Filters, Gender, Place
from eros_matcher.features import interests as interest
from eros_matcher.features.model import (
    AGE_HARMONICS,
    AGE_PERIOD_YEARS,
    INTEREST_DIMS,
    PLACE_WAVES,
    Model,
)

Doubles = npt.NDArray[np.float64]

AGE_HARMONIC_RATES: Final = 2 * math.pi / AGE_PERIOD_YEARS * np.arange(1, AGE_HARMONICS + 1)
"""Radians per year."""
ENOUGH_CHARACTERS: Final = 300
_ENOUGH_YEARS: Final = 20
_ENOUGH_PHOTOS: Final = 4
_MIDDLE_AGE: Final = 35
_AGE_SPREAD: Final = 12

# The cosines of the age block come before its sines.
TIES_OF_COLUMNS: Final = np.concatenate(
    [
        np.zeros(INTEREST_DIMS, dtype=np.int32),
        np.tile(np.arange(1, 1 + AGE_HARMONICS, dtype=np.int32), 2),
        np.full(2 * PLACE_WAVES, 1 + AGE_HARMONICS, dtype=np.int32),
    ]
)
"""(KNOWN_DIMS) which weight each known column of taste has: interests, harmonics, place."""


@dataclass(frozen=True, slots=True)
class Said:
    """One person: `bias` (7), `taste` and `trait` (56 each, unweighted)."""

    bias: Doubles
    taste: Doubles
    trait: Doubles


def said_of(
    filters: Filters, interests: tuple[str, ...], photos: int, words: int, model: Model, year: int
) -> Said:
    """As of a year; of the model only the waves of the place count, which never change."""
    shared = _interest_trait(interests)
    waves = AGE_HARMONIC_RATES * filters.birth_year
    sought = min(max(filters.birth_year, year - filters.age_max), year - filters.age_min)
    wanted = AGE_HARMONIC_RATES * sought
    place = _place_trait(filters.place, model)
    age = min(max((year - filters.birth_year - _MIDDLE_AGE) / _AGE_SPREAD, -2.0), 3.0)
    bias = np.array(
        [
            min((filters.age_max - filters.age_min) / _ENOUGH_YEARS, 1.0),
            min(photos / _ENOUGH_PHOTOS, 1.0),
            min(words / ENOUGH_CHARACTERS, 1.0),
            float(filters.gender is Gender.FEMALE),
            float(filters.gender is Gender.MALE),
            age,
            age * age,
        ]
    )
    return Said(
        bias,
        np.concatenate([shared, np.cos(wanted), np.sin(wanted), place]),
        np.concatenate([shared, np.cos(waves), np.sin(waves), place]),
    )


def _interest_trait(interests: tuple[str, ...]) -> Doubles:
    if not interests:
        return np.zeros(INTEREST_DIMS)
    signs = np.sum([_signs(text) for text in interests], axis=0)
    scaled: Doubles = signs / math.sqrt(INTEREST_DIMS * len(interests))
    return scaled


@lru_cache(maxsize=65_536)
def _signs(text: str) -> npt.NDArray[np.int8]:
    bits = np.unpackbits(np.frombuffer(interest.digest(text), dtype=np.uint8))
    # The first bytes are the token's.
    start = interest.TOKEN_BYTES * 8
    return bits[start : start + INTEREST_DIMS].astype(np.int8) * 2 - 1


def _place_trait(place: Place | None, model: Model) -> Doubles:
    if place is None:
        return np.zeros(2 * PLACE_WAVES)
    phases = np.asarray(model.waves) @ np.asarray(place.xyz())
    return np.concatenate([np.cos(phases), np.sin(phases)]) / math.sqrt(PLACE_WAVES)
