"""Who of the best makes a day's list: not ten times the same kind of person."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.market.market import Floats

LOSS: Final = 0.1
"""What variety may cost: the k-th best of a varied list is worth at least nine tenths of the k-th
best there is, so the list as a whole is too."""


def varied(values: Floats, traits: Floats, count: int) -> npt.NDArray[np.intp]:
    """The order in which to show people whose `values` fall: `count` chosen ones, then the rest.

    The best is always chosen. Each next is, of those whose value is within LOSS of the best who
    is left, the one least like any chosen so far (the cosine of traits); both parts are ordered
    by value. With no more than `count` people there is nothing to choose.
    """
    people = len(values)
    if people <= count or count < 1:
        return np.arange(people)
    lengths = np.sqrt(np.einsum("ij,ij->i", traits, traits))
    kinds = traits / np.maximum(lengths, 1e-9)[:, None]
    left = np.ones(people, dtype=bool)
    likeness = np.full(people, -np.inf)
    one = 0
    for _ in range(count - 1):
        left[one] = False
        likeness = np.maximum(likeness, kinds @ kinds[one])
        best = values[int(np.argmax(left))]
        near = left & (values >= best * (1 - LOSS))
        one = int(np.argmin(np.where(near, likeness, np.inf)))
    left[one] = False
    return np.concatenate([np.flatnonzero(~left), np.flatnonzero(left)])
