"""The first model: two towers with biases, weights set by hand.

    logit p(u likes v) = selectivity(u) + popularity(v) + <taste(u), trait(v)>

with three blocks of the 64 numbers, each the inner product of a known kernel:

- interests (42): each interest is a fixed random sign vector s(i) made from its hash, a person's
  trait is the sum over their n interests over sqrt(n * 42), taste is `interest_weight` times
  that. The product estimates interest_weight * shared / sqrt(n_u * n_v), with a standard
  deviation of interest_weight / sqrt(42) (sign random projection: Achlioptas 2003).
- age (6): sum over j = 1..3 of w_j cos(2 pi j (b - c) / 80), where b is v's birth year and c is
  u's own, moved into the range that u seeks. Largest at b = c.
- place (16): `place_weight` * exp(-d^2 / 2 l^2) for the chord d in km and the length l, as 8
  random Fourier features (Rahimi and Recht 2007); its error far away has a standard deviation of
  place_weight / 4. Zero where the place is unknown.

popularity(v) grows with photos and words of the profile; selectivity(u) falls with a narrow age
range. Gender is a filter, never a feature; nothing about origin, belief or money is read at all.

The weights are a judgement, not a measurement: they put an even pair at about one in three, let
five shared interests of ten move it to more than one in two, and let age and place matter half as
much as interests. A learned model of the same shape replaces this one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from random import Random
from typing import Final

KIND: Final = "two-tower-by-hand-1"
FIRST_VERSION: Final = 1
SEED: Final = 20260101

INTEREST_DIMS: Final = 42
AGE_HARMONICS: Final = 3
AGE_PERIOD_YEARS: Final = 80.0
PLACE_WAVES: Final = 8
LATENT_DIMS: Final = 8
DIMS: Final = INTEREST_DIMS + 2 * AGE_HARMONICS + 2 * PLACE_WAVES
VECTOR_FLOATS: Final = 2 * DIMS + 2
"""Taste, trait, selectivity, popularity."""


class BrokenModelError(Exception):
    """A stored model that is cut short, altered, or of a kind unknown here."""


@dataclass(frozen=True, slots=True)
class Model:
    """The weights; `waves` are wave numbers per km in three directions."""

    interest_weight: float
    age_weights: tuple[float, ...]
    place_weight: float
    place_length_km: float
    waves: tuple[tuple[float, float, float], ...]
    base: float
    """Selectivity of somebody who seeks exactly one age."""
    openness: float
    """Added for an age range of 20 years and more, in proportion below."""
    photos: float
    """Popularity of four photos and more, in proportion below."""
    words: float
    """Popularity of 300 characters of text and more, in proportion below."""


def by_hand(seed: int = SEED) -> Model:
    """Model version 1; the same for the same seed on every machine and Python."""
    random = Random(seed)
    length = 30.0
    waves = tuple(
        (random.gauss(0, 1 / length), random.gauss(0, 1 / length), random.gauss(0, 1 / length))
        for _ in range(PLACE_WAVES)
    )
    return Model(
        interest_weight=2.2,
        age_weights=(0.5, 0.3, 0.2),
        place_weight=0.8,
        place_length_km=length,
        waves=waves,
        base=-1.4,
        openness=0.4,
        photos=0.3,
        words=0.3,
    )


def encode(model: Model) -> bytes:
    """The body of the model's row."""
    return json.dumps(asdict(model), sort_keys=True, separators=(",", ":")).encode()


def decode(kind: str, body: bytes, sha256: bytes) -> Model:
    """The model of a stored row; raises BrokenModelError."""
    if kind != KIND:
        raise BrokenModelError(f"no code for a model of kind {kind!r}")
    if hashlib.sha256(body).digest() != sha256:
        raise BrokenModelError(f"{len(body)} bytes do not have the digest they were stored with")
    return parse(body)


def parse(body: bytes) -> Model:
    """The model of a body that is known to be whole; raises BrokenModelError."""
    try:
        fields = json.loads(body)
        fields["age_weights"] = tuple(fields["age_weights"])
        fields["waves"] = tuple((x, y, z) for x, y, z in fields["waves"])
        model = Model(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenModelError(f"unreadable: {error}") from error
    if len(model.age_weights) != AGE_HARMONICS or len(model.waves) != PLACE_WAVES:
        raise BrokenModelError("of another shape")
    return model
