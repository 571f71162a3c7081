"""Between the served model and the learner's parameters. Pure."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np

from eros_matcher.features.model import (
    AGE_HARMONICS,
    LATENT_DIMS,
    TOWER_INPUTS,
    Model,
)
from eros_matcher.learning.design import Design, Doubles, Floats
from eros_matcher.learning.learned import Learned, Spread, tower_inputs


def model_of(learned: Learned, before: Model, usual_price: float) -> Model:
    """The model as it is served, calibrated; the waves of the place stay `before`'s."""
    scale = learned.scale
    theta = (scale * learned.theta).tolist()
    towers = learned.tower_taste.any() or learned.tower_trait.any()
    return replace(
        before,
        interest_weight=theta[0],
        age_weights=tuple(theta[1 : 1 + AGE_HARMONICS]),
        place_weight=theta[-1],
        base=scale * learned.base + learned.shift,
        selects=_row(scale * learned.selects),
        attracts=_row(scale * learned.attracts),
        tower_taste=_row(scale * learned.tower_taste) if towers else (),
        tower_trait=_row(learned.tower_trait) if towers else (),
        mutual=round(learned.mutual, 6),
        usual_price=round(usual_price, 6),
        spreads=_row(np.array(astuple(learned.spread))),
    )


def leanings_of(design: Design, learned: Learned) -> Floats:
    """(n, LEANING_FLOATS) what each one's vector has beyond the profile."""
    inputs = tower_inputs(design)
    scale = learned.scale
    return np.concatenate(
        [
            scale * learned.own[:, :1],
            scale * learned.others[:, :1],
            scale * (learned.own[:, 1:] - inputs @ learned.tower_taste),
            learned.others[:, 1:] - inputs @ learned.tower_trait,
        ],
        axis=1,
        dtype=np.float32,
    )


def theta_of(model: Model) -> Doubles:
    """(TIES) the weights of taste."""
    return np.array([model.interest_weight, *model.age_weights, model.place_weight])


def start_of(design: Design, model: Model, leanings: Floats) -> Learned:
    """The model and each one's own part (n, LEANING_FLOATS) as the learner has them."""
    shape = (TOWER_INPUTS, LATENT_DIMS)
    nothing = np.zeros(shape)
    taste = np.reshape(model.tower_taste, shape) if model.tower_taste else nothing
    trait = np.reshape(model.tower_trait, shape) if model.tower_trait else nothing
    inputs = tower_inputs(design)
    known, single = leanings, np.float32
    own, others = (
        np.concatenate([known[:, side : side + 1], part + inputs @ tower.astype(single)], axis=1)
        for side, part, tower in (
            (0, known[:, 2 : 2 + LATENT_DIMS], taste),
            (1, known[:, 2 + LATENT_DIMS :], trait),
        )
    )
    return Learned(
        base=model.base,
        selects=np.array(model.selects),
        attracts=np.array(model.attracts),
        theta=theta_of(model),
        tower_taste=taste.copy(),
        tower_trait=trait.copy(),
        own=own,
        others=others,
        spread=Spread(*model.spreads),
        mutual=model.mutual,
    )


def _row(values: Doubles) -> tuple[float, ...]:
    # Six digits are more than is known, and keep the body small.
    return tuple(float(f"{value:.6g}") for value in values.reshape(-1).tolist())
