"""From logits to probabilities that can be counted on, by pairs that were not learned from. Pure.

Two numbers correct every logit, a scale and a shift (Platt 1999). A third says how far interest is
mutual beyond what each one's logit tells: both say yes with

    p = 1 / (1 + ea + eb + (1 - mutual) ea eb),    ea = exp(-a), eb = exp(-b)

for the logits a and b of the two directions; 0 gives the product of both probabilities, and each
direction alone stays what it is (the copula of Ali, Mikhail and Haq 1978).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Doubles, Ints

MOST_MUTUAL: Final = 0.9
_SMALL: Final = 20.0
"""What speaks for no scale and no shift, in decisions: a handful of pairs corrects little."""
_INDEPENDENT: Final = 2.0
"""What speaks against mutuality, in nats at 1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    scale: float = 1.0
    shift: float = 0.0
    mutual: float = 0.0
    auc: float | None = None
    """Of the decisions it was made from: the share of pairs of a like and a skip that the logits
    put in order. None: there were none of both."""


@dataclass(frozen=True, slots=True)
class Held:
    """Observations not learned from, and what was predicted of them."""

    chooser: Ints
    chosen: Ints
    logits: Doubles
    liked: Doubles
    weight: Doubles


def match_probability(a: Doubles, b: Doubles, mutual: float) -> Doubles:
    """p(both like each other) of the logits of both directions."""
    ea, eb = np.exp(-np.clip(a, -40, 40)), np.exp(-np.clip(b, -40, 40))
    likely: Doubles = 1 / (1 + ea + eb + (1 - mutual) * ea * eb)
    return likely


def calibrated(held: Held) -> Calibration:
    """The correction that makes `held` most likely."""
    if not len(held.logits):
        return Calibration()
    scale, shift = _platt(held.logits, held.liked, held.weight)
    there, back = both_ways(held.chooser, held.chosen)
    corrected = scale * held.logits + shift
    a, b = corrected[there], corrected[back]
    match = held.liked[there] * held.liked[back]
    weight = np.minimum(held.weight[there], held.weight[back])
    auc = _auc(held.liked > 0.5, held.logits)
    return Calibration(scale, shift, _mutual(a, b, match, weight), auc)


def both_ways(chooser: Ints, chosen: Ints) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The observations of which there is also the opposite one: positions of both, once a pair."""
    size = int(max(chooser.max(initial=0), chosen.max(initial=0))) + 1
    key = chooser.astype(np.int64) * size + chosen
    opposite = chosen.astype(np.int64) * size + chooser
    order = np.argsort(key, kind="stable")
    at = np.minimum(np.searchsorted(key[order], opposite), max(len(key) - 1, 0))
    there = np.flatnonzero((key[order][at] == opposite) & (chooser < chosen))
    return there, order[at[there]]


def _auc(liked: npt.NDArray[np.bool_], logits: Doubles) -> float | None:
    likes, skips = int(liked.sum()), int((~liked).sum())
    if not likes or not skips:
        return None
    order = np.argsort(logits, kind="stable")
    _, first, count = np.unique(logits[order], return_index=True, return_counts=True)
    # Of equal logits each has the mean of their ranks.
    rank = np.empty(len(logits))
    rank[order] = np.repeat(first + (count + 1) / 2, count)
    return float((rank[liked].sum() - likes * (likes + 1) / 2) / (likes * skips))


def _platt(logits: Doubles, liked: Doubles, weight: Doubles) -> tuple[float, float]:
    scale, shift = 1.0, 0.0
    for _ in range(20):
        likely = 1 / (1 + np.exp(-np.clip(scale * logits + shift, -40, 40)))
        miss, bend = weight * (liked - likely), weight * likely * (1 - likely)
        pull = np.array([miss @ logits - _SMALL * (scale - 1), miss.sum() - _SMALL * shift])
        curve = np.array(
            [
                [bend @ logits**2 + _SMALL, bend @ logits],
                [bend @ logits, bend.sum() + _SMALL],
            ]
        )
        step = np.linalg.solve(curve, pull)
        scale, shift = scale + float(step[0]), shift + float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    # A model that knows nothing must not be turned round.
    return min(max(scale, 0.1), 3.0), shift


def _mutual(a: Doubles, b: Doubles, match: Doubles, weight: Doubles) -> float:
    """By golden section: the likelihood has one peak in this range."""

    def loss(mutual: float) -> float:
        likely = np.clip(match_probability(a, b, mutual), 1e-12, 1 - 1e-12)
        fit = weight * (match * np.log(likely) + (1 - match) * np.log1p(-likely))
        return float(_INDEPENDENT * mutual**2 - fit.sum())

    if not len(a):
        return 0.0
    low, high = 0.0, MOST_MUTUAL
    ratio = (5**0.5 - 1) / 2
    for _ in range(30):
        near, far = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, far) if loss(near) < loss(far) else (near, high)
    return (low + high) / 2
