"""What the engine is held against, trained on the same pairs in the same run.

Each gives for every pair asked about p(left likes right), p(right likes left) and a score of the
match. Settings are chosen inside the training pairs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from bench._speed_dating.data import Evenings
from bench._speed_dating.splits import SEED, Mask, Split, fold_numbers
from eros_matcher.learning.design import Behaviour, Design

Doubles = npt.NDArray[np.float64]

_FACTORS = ((0, 2.0), (0, 6.0), (1, 2.0), (1, 6.0), (2, 2.0), (2, 6.0), (4, 6.0))
"""Number of factors and shrinkage that LFRR may choose from."""
_ROUNDS = 15
_STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""Inverse shrinkage that the logistic regression may choose from."""
_CHECKED = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """(m) each, for the pairs asked about."""

    left: Doubles
    right: Doubles
    match: Doubles


def behaviour_of(evenings: Evenings, mask: Mask) -> Behaviour:
    """Both decisions of each pair."""
    left, right = evenings.left[mask], evenings.right[mask]
    liked = np.concatenate([evenings.left_says[mask], evenings.right_says[mask]]).astype(float)
    return Behaviour(
        np.concatenate([left, right]), np.concatenate([right, left]), liked, np.ones(len(liked))
    )


def popularity(evenings: Evenings, train: Mask, test: Mask, smooth: float = 0.0) -> Answer:
    """Share of yes that each one gave times share that the other got; nothing fitted.

    `smooth` is how many usual decisions each one is given besides their own.
    """
    behaviour = behaviour_of(evenings, train)
    people = len(evenings.wave)
    gave = _share(behaviour.chooser, behaviour.liked, people, smooth)
    got = _share(behaviour.chosen, behaviour.liked, people, smooth)
    left, right = evenings.left[test], evenings.right[test]
    there, back = gave[left] * got[right], gave[right] * got[left]
    return Answer(there, back, there * back)


def lfrr(evenings: Evenings, train: Mask, test: Mask) -> Answer:
    """Latent factors with biases for each direction, the harmonic mean of both."""
    behaviour = behaviour_of(evenings, train)
    inner = fold_numbers(evenings.pair_wave[train], _CHECKED, SEED + 1) == 0
    held = np.concatenate([inner, inner])
    people = len(evenings.wave)

    def loss(setting: tuple[int, float]) -> float:
        guess = _factorized(behaviour.only(~held), people, *setting)
        asked = behaviour.only(held)
        return float(((guess(asked.chooser, asked.chosen) - asked.liked) ** 2).mean())

    guess = _factorized(behaviour, people, *min(_FACTORS, key=loss))
    left, right = evenings.left[test], evenings.right[test]
    there = np.clip(guess(left, right), 1e-3, 1 - 1e-3)
    back = np.clip(guess(right, left), 1e-3, 1 - 1e-3)
    return Answer(there, back, 2 * there * back / (there + back))


def logistic(
    evenings: Evenings, design: Design, train: Mask, test: Mask, split: Split, extra: bool = False
) -> Answer:
    """Logistic regression of decisions on both surveys and their products; both sides multiplied.

    `extra` adds `samerace`, which the engine leaves out.
    """
    wave = evenings.pair_wave[train]
    held = np.isin(wave, np.unique(wave)[::_CHECKED])
    if split is not Split.COLD or held.all():
        held = fold_numbers(wave, _CHECKED, SEED + 1) == 0
    rows, liked = _rows(evenings, design, train, extra), behaviour_of(evenings, train).liked
    twice = np.concatenate([held, held])

    def loss(strength: float) -> float:
        model = _fitted(rows[~twice], liked[~twice], strength)
        likely = np.clip(model.predict_proba(rows[twice])[:, 1], 1e-6, 1 - 1e-6)
        says = liked[twice]
        return float(-(says * np.log(likely) + (1 - says) * np.log(1 - likely)).mean())

    model = _fitted(rows, liked, min(_STRENGTHS, key=loss))
    likely = model.predict_proba(_rows(evenings, design, test, extra))[:, 1]
    there, back = np.split(likely, 2)
    return Answer(there, back, there * back)


def _fitted(rows: Doubles, liked: Doubles, strength: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=300).fit(rows, liked > 0)


def _rows(evenings: Evenings, design: Design, mask: Mask, extra: bool) -> Doubles:
    asked = behaviour_of(evenings, mask)
    u, v = asked.chooser, asked.chosen
    same = evenings.same_race[mask]
    return np.concatenate(
        [
            design.bias[u],
            design.bias[v],
            design.taste[u] * design.trait[v],
            *([np.concatenate([same, same])[:, None]] if extra else []),
        ],
        axis=1,
    )


def _share(who: npt.NDArray[np.int32], liked: Doubles, people: int, smooth: float) -> Doubles:
    mean = liked.mean() if len(liked) else 0.5
    count = np.bincount(who, minlength=people) + smooth
    said = np.bincount(who, weights=liked, minlength=people) + smooth * mean
    share: Doubles = np.where(count > 0, said / np.maximum(count, 1e-9), mean)
    return share


def _factorized(
    behaviour: Behaviour, people: int, factors: int, shrink: float
) -> Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32]], Doubles]:
    """Alternating least squares; a person's two roles have factors of their own."""
    random = np.random.default_rng(SEED)
    mean = float(behaviour.liked.mean())
    give = np.concatenate([np.zeros((people, 1)), random.normal(0, 0.1, (people, factors))], axis=1)
    get = np.concatenate([np.zeros((people, 1)), random.normal(0, 0.1, (people, factors))], axis=1)

    def guess(u: npt.NDArray[np.int32], v: npt.NDArray[np.int32]) -> Doubles:
        inner = (give[u, 1:] * get[v, 1:]).sum(axis=1)
        value: Doubles = mean + give[u, 0] + get[v, 0] + inner
        return value

    for _ in range(_ROUNDS):
        for mine, theirs, who, whom in (
            (give, get, behaviour.chooser, behaviour.chosen),
            (get, give, behaviour.chosen, behaviour.chooser),
        ):
            rows = np.concatenate([np.ones((len(whom), 1)), theirs[whom, 1:]], axis=1)
            target = behaviour.liked - mean - theirs[whom, 0]
            gram = np.zeros((people, 1 + factors, 1 + factors))
            pull = np.zeros((people, 1 + factors))
            np.add.at(gram, who, rows[:, :, None] * rows[:, None, :])
            np.add.at(pull, who, rows * target[:, None])
            mine[:] = np.linalg.solve(gram + shrink * np.eye(1 + factors), pull[:, :, None])[..., 0]
    return guess
