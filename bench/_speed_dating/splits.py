"""Who is learned from and who is asked about. A pair is on one side with both decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from bench._speed_dating.data import Evenings

SEED = 20260101
FOLDS = 5

Mask = npt.NDArray[np.bool_]


class Split(StrEnum):
    """COLD: an evening nobody of which was seen. WARM: pairs of evenings whose other pairs are
    known. TIME: the second half of an evening after the first half of all."""

    COLD = "cold"
    WARM = "warm"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Fold:
    """Masks of pairs, disjoint."""

    name: str
    train: Mask
    test: Mask


def folds_of(evenings: Evenings, split: Split, seed: int = SEED) -> Iterator[Fold]:
    """The folds; those without both outcomes to tell apart are still given."""
    wave = evenings.pair_wave
    waves = np.unique(wave)
    match split:
        case Split.COLD:
            for one in waves:
                yield Fold(f"wave {one}", wave != one, wave == one)
        case Split.WARM:
            number = fold_numbers(wave, FOLDS, seed)
            for fold in range(FOLDS):
                yield Fold(f"fold {fold + 1}", number != fold, number == fold)
        case Split.TIME:
            first = evenings.place < 0.5
            for one in waves:
                yield Fold(f"wave {one}", first, ~first & (wave == one))


def fold_numbers(groups: npt.NDArray[np.int32], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """A fold for each pair, evenly within each group."""
    random = np.random.default_rng(seed)
    number = np.empty(len(groups), dtype=np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        number[members] = random.permutation(len(members)) % folds
    return number
