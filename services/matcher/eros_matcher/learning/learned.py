"""What learning found: weights for all, a part of each person's own. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Design, Doubles, Floats

_BEGINNING: Final = 0.5
"""The spread that learned dimensions start with."""


@dataclass(slots=True)
class Spread:
    """Variances that the data chose, so that nobody has to tune how strongly to shrink."""

    selectivity: float = 1.0
    """Of s around what the profile says;"""
    popularity: float = 1.0
    """of p;"""
    together: float = 0.0
    """their correlation: the popular are choosier."""
    taste: float = _BEGINNING**2
    """Of each learned dimension of U around what the profile says,"""
    trait: float = _BEGINNING**2
    """and of V."""
    selects: float = 0.1
    """Of the weights of each kind: what one is shrunk towards zero by."""
    attracts: float = 0.1
    theta: float = 0.1
    tower: float = 0.01

    def copy(self) -> Spread:
        return replace(self)


@dataclass(slots=True)
class Learned:
    """The parameters of `eros_matcher.learning.design`; k learned dimensions, q tower inputs."""

    base: float
    selects: Doubles
    """(b) w: of the chooser."""
    attracts: Doubles
    """(b) c: of the chosen."""
    theta: Doubles
    """(ties)"""
    tower_taste: Doubles
    """(q, k) from what a profile says to the learned taste,"""
    tower_trait: Doubles
    """and to the learned trait."""
    own: Floats
    """(n, 1 + k) s, U"""
    others: Floats
    """(n, 1 + k) p, V"""
    spread: Spread = field(default_factory=Spread)
    scale: float = 1.0
    """What calibration multiplies every logit by,"""
    shift: float = 0.0
    """and adds;"""
    mutual: float = 0.0
    """how far interest is mutual beyond both logits (`eros_matcher.learning.calibrate`)."""

    @property
    def latent(self) -> int:
        return int(self.own.shape[1]) - 1


def tower_inputs(design: Design) -> Floats:
    """(n, q) what the learned dimensions of a person are predicted from."""
    return np.concatenate([design.bias, design.trait], axis=1)


def begin(design: Design, latent: int, seed: int, share_liked: float) -> Learned:
    """Nothing learned yet: everybody likes alike. The same for the same seed."""
    random = np.random.default_rng(seed)
    own = np.zeros((design.people, 1 + latent), dtype=np.float32)
    others = np.zeros((design.people, 1 + latent), dtype=np.float32)
    # Two factors of zero would stay zero for ever.
    own[:, 1:] = random.normal(0, _BEGINNING, (design.people, latent))
    others[:, 1:] = random.normal(0, _BEGINNING, (design.people, latent))
    share = min(max(share_liked, 0.01), 0.99)
    inputs = design.bias.shape[1] + design.trait.shape[1]
    return Learned(
        base=float(np.log(share / (1 - share))),
        selects=np.zeros(design.bias.shape[1]),
        attracts=np.zeros(design.bias.shape[1]),
        theta=np.zeros(design.ties),
        tower_taste=np.zeros((inputs, latent)),
        tower_trait=np.zeros((inputs, latent)),
        own=own,
        others=others,
    )


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the scorer multiplies and adds: calibration is in it."""

    taste: Floats
    """(n, p + k)"""
    trait: Floats
    """(n, p + k)"""
    selectivity: Floats
    popularity: Floats

    def logits(self, chooser: npt.NDArray[np.int32], chosen: npt.NDArray[np.int32]) -> Doubles:
        """logit p(chooser likes chosen), pair by pair."""
        products = (self.taste[chooser].astype(float) * self.trait[chosen]).sum(axis=1)
        logits: Doubles = products + self.selectivity[chooser] + self.popularity[chosen]
        return logits


def vectors(design: Design, learned: Learned) -> Vectors:
    """The vectors of everybody in the design."""
    weighted = design.taste * learned.theta[design.tie]
    selectivity = learned.base + design.bias @ learned.selects + learned.own[:, 0]
    popularity = design.bias @ learned.attracts + learned.others[:, 0]
    return Vectors(
        (learned.scale * np.concatenate([weighted, learned.own[:, 1:]], axis=1)).astype(np.float32),
        np.concatenate([design.trait, learned.others[:, 1:]], axis=1).astype(np.float32),
        (learned.scale * selectivity + learned.shift).astype(np.float32),
        (learned.scale * popularity).astype(np.float32),
    )
