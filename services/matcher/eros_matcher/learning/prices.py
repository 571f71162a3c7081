"""Congestion prices: what keeps everybody from being shown the same few. Deterministic, no I/O.

In a market with transferable utility, pairs form in proportion to exp(surplus / temperature) times
one factor a person, such that everybody is in as many as they can take (Choo and Siow 2006). With
the logarithm of the match probability as the surplus, K(u, v) = p(u, v)^(1 / temperature) and

    a_u * (quiet * a_u + sum over v of K(u, v) a_v) = 1

for everybody, solved by proportional fitting; K is symmetric, so one factor a person does for both
sides. Lists ordered by K(u, v) a_v, that is by log p(u, v) - price_v with the price

    price_v = - strength * temperature * log a_v

then ask for nobody more than for others. `quiet` is the small surplus of staying alone; it bounds
the factor of people whom hardly anybody fits.

Only people who pass each other's filters count. The balance is found on at most SAMPLE people; the
others' factors follow from it by the same equation. K is made block by block and never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Doubles, Floats
from eros_matcher.learning.learned import Vectors

Bools = npt.NDArray[np.bool_]

TEMPERATURE: Final = 0.5
STRENGTH: Final = 1.0
SAMPLE: Final = 4096
MOST: Final = 4.0
"""Nats: a price beyond this would hide somebody."""
_ROUNDS: Final = 30
_BLOCK: Final = 32
_QUIET: Final = 0.02


@dataclass(frozen=True, slots=True)
class Rules:
    """(n) each: the hard filters as numbers; see `eros_matcher.market.market.Market`."""

    gender: npt.NDArray[np.uint8]
    seeks: npt.NDArray[np.uint8]
    born: npt.NDArray[np.int16]
    born_from: npt.NDArray[np.int16]
    born_to: npt.NDArray[np.int16]
    place: Floats
    """(n, 3) km; far away from everything where unknown."""
    reach: Floats
    """The square of the longest chord in km, or infinity."""

    def fit(self, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Bools:
        """(rows, columns) whether the two pass each other's filters."""
        mask = (self.seeks[rows, None] & self.gender[columns]) > 0
        mask &= (self.gender[rows, None] & self.seeks[columns]) > 0
        mask &= self.born[columns] >= self.born_from[rows, None]
        mask &= self.born[columns] <= self.born_to[rows, None]
        mask &= self.born[rows, None] >= self.born_from[columns]
        mask &= self.born[rows, None] <= self.born_to[columns]
        apart = np.zeros(mask.shape, dtype=np.float32)
        for axis in range(3):
            along = self.place[rows, axis][:, None] - self.place[columns, axis]
            apart += along * along
        mask &= apart <= self.reach[rows, None]
        mask &= apart <= self.reach[columns]
        mask &= rows[:, None] != columns
        return mask


class Stage(IntEnum):
    SCALE = 0
    BALANCE = 1
    EXTEND = 2


class Balance:
    """Call `step` until it says True; then `prices` has them. Nobody in the market: all zero."""

    def __init__(
        self,
        vectors: Vectors,
        rules: Rules,
        *,
        mutual: float,
        seed: int,
        temperature: float = TEMPERATURE,
        strength: float = STRENGTH,
        sample: int = SAMPLE,
    ) -> None:
        self._vectors = vectors
        self._rules = rules
        self._mutual = mutual
        self._temperature = temperature
        self._strength = strength
        people = len(vectors.selectivity)
        chosen = np.arange(people)
        if people > sample:
            chosen = np.random.default_rng(seed).choice(people, sample, replace=False)
        self._sample = np.sort(chosen).astype(np.intp)
        self.stage = Stage.SCALE
        self.round = 0
        self.block = 0
        self.shift = 0.0
        """Nats that K is divided by, so that sums are about one."""
        self.sums: Doubles = np.zeros(len(self._sample))
        self.factors: Doubles = np.ones(len(self._sample))
        self.prices: Floats = np.zeros(people, dtype=np.float32)

    def step(self) -> bool:
        """One block of rows; True when all is done."""
        if not len(self._sample) or self._strength == 0:
            return True
        if self.stage is Stage.EXTEND:
            return self._extend()
        part = slice(self.block * _BLOCK, (self.block + 1) * _BLOCK)
        self.sums[part] = self._kernel(self._sample[part]) @ self.factors
        self.block += 1
        if part.stop < len(self._sample):
            return False
        self.block = 0
        if self.stage is Stage.SCALE:
            typical = float(self.sums[self.sums > 0].mean()) if (self.sums > 0).any() else 1.0
            self.shift += float(np.log(typical))
            self.stage = Stage.BALANCE
            return False
        # Half a step in the logarithm: whole ones swing to and fro between the two sides.
        self.factors = np.sqrt(self.factors * _factors(self.sums))
        self.round += 1
        if self.round == _ROUNDS:
            self.stage = Stage.EXTEND
        return False

    def _extend(self) -> bool:
        part = slice(self.block * _BLOCK, (self.block + 1) * _BLOCK)
        rows = np.arange(len(self.prices))[part]
        sums = self._kernel(rows) @ self.factors
        logs = np.where(sums > 0, np.log(_factors(sums)), np.nan)
        self.prices[part] = -self._strength * self._temperature * logs
        self.block += 1
        if part.stop < len(self.prices):
            return False
        self._level()
        return True

    def _level(self) -> None:
        """Prices compare people of one gender: between genders the balance leaves them open."""
        for gender in np.unique(self._rules.gender):
            of_it = self._rules.gender == gender
            known = self.prices[of_it & np.isfinite(self.prices)]
            if len(known):
                self.prices[of_it] -= np.median(known)
        # Whom nobody fits is in no list: any price does.
        self.prices = np.nan_to_num(self.prices, nan=0.0)
        self.prices = np.clip(self.prices - self.prices.min(), 0, MOST).astype(np.float32)

    def _kernel(self, rows: npt.NDArray[np.intp]) -> Floats:
        vectors, columns = self._vectors, self._sample
        a = vectors.taste[rows] @ vectors.trait[columns].T
        a += vectors.selectivity[rows, None] + vectors.popularity[columns]
        b = vectors.trait[rows] @ vectors.taste[columns].T
        b += vectors.popularity[rows, None] + vectors.selectivity[columns]
        ea, eb = np.exp(-np.clip(a, -30, 30)), np.exp(-np.clip(b, -30, 30))
        surplus = -np.log(1 + ea + eb + np.float32(1 - self._mutual) * ea * eb)
        surplus = surplus / np.float32(self._temperature) - np.float32(self.shift)
        kernel: Floats = np.where(self._rules.fit(rows, columns), np.exp(surplus), 0)
        return kernel


def _factors(sums: Doubles) -> Doubles:
    """a of a (quiet a + sum) = 1."""
    factors: Doubles = (np.sqrt(sums * sums + 4 * _QUIET) - sums) / (2 * _QUIET)
    return factors


def balanced(
    vectors: Vectors,
    rules: Rules,
    *,
    mutual: float,
    seed: int,
    temperature: float = TEMPERATURE,
    strength: float = STRENGTH,
    sample: int = SAMPLE,
) -> Floats:
    """Everybody's price, all at once."""
    balance = Balance(
        vectors,
        rules,
        mutual=mutual,
        seed=seed,
        temperature=temperature,
        strength=strength,
        sample=sample,
    )
    while not balance.step():
        pass
    return balance.prices
