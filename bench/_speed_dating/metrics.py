"""How good a score is at telling yes from no. Ties count half; nothing to tell apart is None."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FIRST = 5
"""P@k is at this k."""


def auc(truth: Mask, score: Doubles) -> float | None:
    """The odds that a yes scores above a no (Mann and Whitney)."""
    yes = int(truth.sum())
    no = len(truth) - yes
    if not yes or not no:
        return None
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    return float((rank[truth].sum() - yes * (yes + 1) / 2) / (yes * no))


def average_precision(truth: Mask, score: Doubles) -> float | None:
    """The mean precision at each yes, equal scores taken together."""
    yes = int(truth.sum())
    if not yes or yes == len(truth):
        return None
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.diff(hits[last], prepend=0)
    return float((found * hits[last] / (last + 1)).sum() / yes)


def by_person(
    person: npt.NDArray[np.int32], truth: Mask, score: Doubles
) -> tuple[float | None, float | None]:
    """Mean AUC, and mean precision among the FIRST highest, over people with something to tell.

    Equal scores share the places they have together.
    """
    aucs: list[float] = []
    precisions: list[float] = []
    for one in np.unique(person):
        mine = person == one
        area = auc(truth[mine], score[mine])
        if area is not None:
            aucs.append(area)
            precisions.append(_precision(truth[mine], score[mine], min(FIRST, int(mine.sum()))))
    if not aucs:
        return None, None
    return float(np.mean(aucs)), float(np.mean(precisions))


def _precision(truth: Mask, score: Doubles, first: int) -> float:
    cut = np.sort(score)[-first]
    above, at = score > cut, score == cut
    share = (first - int(above.sum())) / int(at.sum())
    return float((truth[above].sum() + share * truth[at].sum()) / first)
