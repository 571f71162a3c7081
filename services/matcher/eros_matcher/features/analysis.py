"""The analysis of one profile: what phase 1 computes, and the preview for a newcomer."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

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
from eros_matcher.features.model import LATENT_DIMS, LEANING_FLOATS, Model
from eros_matcher.features.record import Record
from eros_matcher.features.said import ENOUGH_CHARACTERS, TIES_OF_COLUMNS, Said, said_of

Floats = npt.NDArray[np.float32]

_MOST_PHOTOS: Final = 100


def analyze(
    profile: profile_pb2.MatchingProfile, model: Model, year: int, leaning: bytes = b""
) -> Record:
    """Filters and vector of a profile, as of a year.

    `leaning` is what was learned of the person beyond the profile, float32; what is no leaning
    counts as none.
    """
    filters = filters_of(profile)
    interests = interest.cleaned(profile.interests)
    photos = min(len(profile.photos), _MOST_PHOTOS)
    words = min(len(profile.bio), ENOUGH_CHARACTERS)
    vector = b""
    if filters is not None:
        said = said_of(filters, interests, photos, words, model, year)
        vector = vector_of(said, model, leaning_of(leaning)).tobytes()
    return Record(
        user_id_from_bytes(profile.user_id),
        filters,
        profile.location.time_zone,
        interests,
        vector,
        photos,
        words,
        model.usual_price,
    )


def analyzed(profile: bytes, model: Model, year: int, leaning: bytes = b"") -> Record:
    """`analyze` of a serialized profile; raises ValueError for one that cannot be read."""
    try:
        return analyze(profile_pb2.MatchingProfile.FromString(profile), model, year, leaning)
    except (DecodeError, ValueError) as error:
        raise ValueError(f"unreadable profile: {error}") from error


def missing_of(profile: profile_pb2.MatchingProfile) -> tuple[str, ...]:
    """What keeps a person out of the market, as one would say it."""
    lacks = (
        (not profile.HasField("birth_year"), "your age"),
        (profile.gender not in GENDERS, "your gender"),
        (not _mask_of(tuple(profile.preferences.genders)), "whom you seek"),
    )
    return tuple(name for lacking, name in lacks if lacking)


def filters_of(profile: profile_pb2.MatchingProfile) -> Filters | None:
    """The hard filters; None for somebody who is not in the market."""
    preferences, location = profile.preferences, profile.location
    gender, seeks = GENDERS.get(profile.gender), _mask_of(tuple(preferences.genders))
    if gender is None or not seeks or not profile.HasField("birth_year"):
        return None
    known = location.HasField("lat") and location.HasField("lon")
    limit = preferences.max_distance_km
    return Filters(
        birth_year=profile.birth_year,
        gender=gender,
        seeks=seeks,
        age_min=preferences.age_min or AGE_MIN,
        age_max=preferences.age_max or AGE_MAX,
        place=Place(location.lat, location.lon) if known else None,
        max_km=limit if 0 < limit < ANYWHERE_KM else None,
    )


def leaning_of(data: bytes) -> Floats:
    """(LEANING_FLOATS) zeros for nobody's, or for bytes that are no leaning."""
    values = np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")
    if len(values) != LEANING_FLOATS or not np.isfinite(values).all():
        return np.zeros(LEANING_FLOATS, dtype=np.float32)
    return values


def vector_of(said: Said, model: Model, leaning: Floats) -> Floats:
    """Taste, trait, selectivity, popularity (`eros_matcher.features.model` has the formulas)."""
    weights = np.array([model.interest_weight, *model.age_weights, model.place_weight])
    taste, trait = (leaning[2:] + _towers(said, model)).reshape(2, LATENT_DIMS)
    return np.concatenate(
        [
            weights[TIES_OF_COLUMNS] * said.taste,
            taste,
            said.trait,
            trait,
            [
                model.base + said.bias @ np.asarray(model.selects) + leaning[0],
                said.bias @ np.asarray(model.attracts) + leaning[1],
            ],
        ],
        dtype=np.float32,
    )


def _towers(said: Said, model: Model) -> npt.NDArray[np.float64]:
    if not model.tower_taste:
        return np.zeros(2 * LATENT_DIMS)
    inputs = np.concatenate([said.bias, said.trait])
    towers = (model.tower_taste, model.tower_trait)
    return np.concatenate([inputs @ np.reshape(one, (len(inputs), LATENT_DIMS)) for one in towers])


@lru_cache(maxsize=64)
def _mask_of(genders: tuple[str, ...]) -> Gender:
    # Or-ing flags makes each anew, which costs more than all the rest of the filters.
    mask = Gender(0)
    for name in genders:
        mask |= GENDERS.get(name, Gender(0))
    return mask
