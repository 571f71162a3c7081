"""The model: two towers with biases.

    logit p(u likes v) = selectivity(u) + popularity(v) + <taste(u), trait(v)>

with four blocks of the 64 numbers:

- interests (34): each interest is a fixed random sign vector s(i) made from its hash, a person's
  trait is the sum over their n interests over sqrt(n * 34), taste is `interest_weight` times
  that. The product estimates interest_weight * shared / sqrt(n_u * n_v), with a standard
  deviation of interest_weight / sqrt(34) (sign random projection: Achlioptas 2003).
- age (6): sum over j = 1..3 of w_j cos(2 pi j (b - c) / 80), where b is v's birth year and c is
  u's own, moved into the range that u seeks. Largest at b = c.
- place (16): `place_weight` * exp(-d^2 / 2 l^2) for the chord d in km and the length l, as 8
  random Fourier features (Rahimi and Recht 2007); its error far away has a standard deviation of
  place_weight / 4. Zero where the place is unknown.
- learned (8): what a profile says times a tower, plus the person's own part, the *leaning*: what
  their behaviour says beyond the profile.

selectivity and popularity are weighted sums of what a profile says (`eros_matcher.features.said`)
plus the leaning's. Gender moves these two alone; nothing about origin, belief or money is read.

Version 1 is set by hand, a judgement and not a measurement: it puts an even pair at about one in
three, lets five shared interests of ten move it to more than one in two, and lets age and place
matter half as much as interests. The job `learn` makes the ones after it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from random import Random
from typing import Final

KIND: Final = "two-tower-2"
FIRST_VERSION: Final = 1
SEED: Final = 20260101

INTEREST_DIMS: Final = 34
AGE_HARMONICS: Final = 3
AGE_PERIOD_YEARS: Final = 80.0
PLACE_WAVES: Final = 8
LATENT_DIMS: Final = 8
KNOWN_DIMS: Final = INTEREST_DIMS + 2 * AGE_HARMONICS + 2 * PLACE_WAVES
"""What a profile alone says."""
DIMS: Final = KNOWN_DIMS + LATENT_DIMS
BLOCKS: Final = (0, INTEREST_DIMS, INTEREST_DIMS + 2 * AGE_HARMONICS, KNOWN_DIMS)
"""Where interests, age, place and what was learned begin in a taste or trait."""
TIES: Final = 2 + AGE_HARMONICS
"""Weights of taste: interests, each age harmonic, place."""
BIAS_INPUTS: Final = ("openness", "photos", "words", "female", "male", "age", "age squared")
"""What moves selectivity and popularity, in the order of `selects` and `attracts`."""
TOWER_INPUTS: Final = len(BIAS_INPUTS) + KNOWN_DIMS
LEANING_FLOATS: Final = 2 + 2 * LATENT_DIMS
"""Selectivity, popularity, learned taste, learned trait, each beyond what the profile says."""
GREATEST: Final = 1e4
"""No weight and no number of a vector is as great: a logit of ten is certainty already."""
VECTOR_FLOATS: Final = 2 * DIMS + 2
"""Taste, trait, selectivity, popularity."""


_ROWS: Final = (*("age_weights", "selects", "attracts", "tower_taste", "tower_trait", "spreads"),)


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
    """Selectivity of somebody of whom nothing is known."""
    selects: tuple[float, ...]
    """Weights of the bias inputs for selectivity,"""
    attracts: tuple[float, ...]
    """and for popularity."""
    tower_taste: tuple[float, ...]
    """(TOWER_INPUTS, LATENT_DIMS) row by row, from what a profile says to the learned taste;"""
    tower_trait: tuple[float, ...]
    """the same to the learned trait. Both are empty where nothing was learned."""
    mutual: float
    """How far interest is mutual beyond both logits (`eros_matcher.learning.calibrate`)."""
    usual_price: float
    """The congestion price of somebody of whom nothing is known."""
    spreads: tuple[float, ...] = ()
    """What the learner goes on from (`eros_matcher.learning.learned.Spread`)."""

    @property
    def was_learned(self) -> bool:
        """Whether it is one to go on from, and not one set by hand."""
        return bool(self.spreads and self.tower_taste)


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
        selects=(0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        attracts=(0.0, 0.3, 0.3, 0.0, 0.0, 0.0, 0.0),
        tower_taste=(),
        tower_trait=(),
        mutual=0.0,
        usual_price=0.0,
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
        fields["waves"] = tuple((x, y, z) for x, y, z in fields["waves"])
        for name in _ROWS:
            fields[name] = tuple(map(float, fields[name]))
        model = Model(**fields)
        served = [number for name in _ROWS if name != "spreads" for number in fields[name]]
        served += [model.interest_weight, model.place_weight, model.base, model.mutual]
        whole = math.isfinite(math.fsum(map(float, [*served, *model.spreads])))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BrokenModelError(f"unreadable: {error}") from error
    if not whole:
        raise BrokenModelError("with numbers that are none")
    if max(map(abs, served)) >= GREATEST:
        # Vectors made with it would be broken, and everybody left out of the market.
        raise BrokenModelError("with weights beyond all measure")
    towers = {len(model.tower_taste), len(model.tower_trait)}
    if (
        len(model.age_weights) != AGE_HARMONICS
        or len(model.waves) != PLACE_WAVES
        or {len(model.selects), len(model.attracts)} != {len(BIAS_INPUTS)}
        or not 0 <= model.mutual < 1
        or towers not in ({0}, {TOWER_INPUTS * LATENT_DIMS})
    ):
        raise BrokenModelError("of another shape")
    return model
