"""What is learned from: people as numbers, and what they thought of each other. Pure.

    logit p(u likes v) = base + <bias_u, w> + <bias_v, c> + sum_j theta[tie_j] taste_uj trait_vj
                         + s_u + p_v + <U_u, V_v>

`Design` holds what is known before anybody acts, `Behaviour` what they did. The first line is what
a profile says, the second what only behaviour can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Design:
    """`n` people. Missing values are 0 in every column, which is why columns are centred.

    `bias` (n, b) moves how much somebody likes and is liked; columns with a spread of about one
    are shrunk alike. `taste` (n, p) and `trait` (n, p) meet in products, column by column, each
    weighted by `theta[tie[j]]`; ties run from 0 without gaps.
    """

    bias: Floats
    taste: Floats
    trait: Floats
    tie: Ints

    @property
    def people(self) -> int:
        return len(self.bias)

    @property
    def ties(self) -> int:
        return int(self.tie.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`m` observations: `chooser` and `chosen` are rows of the design, `liked` is 0 to 1.

    `weight` says how much one counts; a whole decision of today counts 1.
    """

    chooser: Ints
    chosen: Ints
    liked: Doubles
    weight: Doubles

    def __len__(self) -> int:
        return len(self.chooser)

    def only(self, which: npt.NDArray[np.bool_]) -> Behaviour:
        """Those observations alone."""
        return self.at(np.flatnonzero(which))

    def at(self, which: npt.NDArray[np.intp]) -> Behaviour:
        """The observations at these positions."""
        return Behaviour(
            self.chooser[which], self.chosen[which], self.liked[which], self.weight[which]
        )


def cleaned(values: Floats) -> Floats:
    """The values with 0 for what is no number; themselves where there is none of that."""
    good = np.isfinite(values)
    return values if good.all() else np.where(good, values, np.float32(0))


def finite(values: npt.ArrayLike) -> tuple[Doubles, int]:
    """The values with 0 for what is no number, and how many those were."""
    array = np.asarray(values, dtype=np.float64)
    good = np.isfinite(array)
    return np.where(good, array, 0.0), int(array.size - good.sum())
