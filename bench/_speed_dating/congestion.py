"""How many true matches lists lead to when people look at the first places most.

Every evening is a market. Each person gets a list of all the others, ordered by scores that were
learned from the other evenings. A true match comes about with the odds that both look at each
other's place, one over the rank for either: the expected number is the sum over true matches of
1 / (rank of v in u's list * rank of u in v's list).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench._speed_dating.data import Evenings, read
from bench._speed_dating.evaluate import Trained, trainings
from bench._speed_dating.splits import SEED, Mask, Split
from eros_matcher.learning.calibrate import match_probability
from eros_matcher.learning.learned import Vectors
from eros_matcher.learning.prices import STRENGTH, Rules, balanced

Doubles = npt.NDArray[np.float64]

SMALL: Final = 14
"""Evenings of at most so many a side are also counted by themselves."""
_DRAWS: Final = 200
ORDERS: Final = ("random", "naive", "product", "balanced")


def run(path: Path, strength: float = STRENGTH) -> dict[str, Any]:
    """Expected true matches of each order; raises UnreadableFileError."""
    with threadpool_limits(1):
        return _run(path, strength)


def _run(path: Path, strength: float) -> dict[str, Any]:
    began = time.monotonic()
    evenings = read(path)
    rows: list[dict[str, Any]] = []
    solving = 0.0
    for fold, trained in trainings(evenings, Split.COLD):
        started = time.process_time()
        price = _prices(trained, evenings, fold.test, strength)
        solving += time.process_time() - started
        rows.append({"evening": fold.name, **_expected(trained, evenings, fold.test, price)})
    small = [row for row in rows if row["largest_side"] <= SMALL]
    return {
        "all": _total(rows),
        "small": _total(small),
        "strength": strength,
        "solve_seconds": solving,
        "seconds": time.monotonic() - began,
        "rows": rows,
    }


def _prices(trained: Trained, evenings: Evenings, test: Mask, strength: float) -> dict[int, float]:
    """The same balance that is learned at night, over the people of one evening."""
    people = np.unique(np.concatenate([evenings.left[test], evenings.right[test]]))
    male = evenings.survey["gender"][people] == 1
    count = len(people)
    gender = np.where(male, 2, 1).astype(np.uint8)
    free = np.zeros(count, dtype=np.int16)
    rules = Rules(
        gender=gender,
        seeks=(3 - gender).astype(np.uint8),
        born=free,
        born_from=free,
        born_to=free,
        place=np.zeros((count, 3), dtype=np.float32),
        reach=np.full(count, np.inf, dtype=np.float32),
    )
    whole = trained.vectors
    some = Vectors(
        whole.taste[people],
        whole.trait[people],
        whole.selectivity[people],
        whole.popularity[people],
    )
    prices = balanced(some, rules, mutual=trained.learned.mutual, seed=SEED, strength=strength)
    return dict(zip(people.tolist(), prices.tolist(), strict=True))


def _expected(
    trained: Trained, evenings: Evenings, test: Mask, price: dict[int, float]
) -> dict[str, Any]:
    left, right = evenings.left[test], evenings.right[test]
    there, back = trained.vectors.logits(left, right), trained.vectors.logits(right, left)
    # As the scorer ranks.
    score = np.log(match_probability(there, back, trained.learned.mutual))
    price_left = np.array([price[one] for one in left.tolist()])
    price_right = np.array([price[one] for one in right.tolist()])
    match = evenings.match[test]
    random = np.random.default_rng(SEED)
    drawn = [
        _matches(match, left, right, random.random(len(left)), random.random(len(left)))
        for _ in range(_DRAWS)
    ]
    return {
        "pairs": len(left),
        "matches": int(match.sum()),
        "largest_side": int(max(len(np.unique(left)), len(np.unique(right)))),
        "random": float(np.mean(drawn)),
        "naive": _matches(match, left, right, there, back),
        "product": _matches(match, left, right, score, score),
        "balanced": _matches(match, left, right, score - price_right, score - price_left),
    }


def _matches(
    match: Mask,
    left: npt.NDArray[np.int32],
    right: npt.NDArray[np.int32],
    to_left: Doubles,
    to_right: Doubles,
) -> float:
    """`to_left` orders the lists of the left people, `to_right` those of the right."""
    return float((match / (_rank(left, to_left) * _rank(right, to_right))).sum())


def _rank(owner: npt.NDArray[np.int32], score: Doubles) -> npt.NDArray[np.int64]:
    """The place of each pair in its owner's list, from 1."""
    order = np.lexsort((-score, owner))
    first = np.flatnonzero(np.diff(owner[order], prepend=-1))
    length = np.diff(first, append=len(owner))
    rank = np.empty(len(owner), dtype=np.int64)
    rank[order] = np.arange(len(owner)) - np.repeat(first, length) + 1
    return rank


def _total(rows: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {"evenings": len(rows)}
    for order in ORDERS:
        total[order] = float(sum(row[order] for row in rows))
    if total["product"] > 0:
        total["balanced_over_product"] = total["balanced"] / total["product"]
        total["balanced_over_naive"] = total["balanced"] / max(total["naive"], 1e-9)
    return total
