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

Only people who pass each other's filters count. Every market (`eros_matcher.learning.markets`) has
a balance of its own, found on at most SAMPLE of its people, of every gender and wish enough; the
others' factors follow from it by the same equation. K is made block by block and never kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.learning.design import Doubles, Floats, Ints
from eros_matcher.learning.learned import Vectors
from eros_matcher.learning.markets import markets_of

Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]

TEMPERATURE: Final = 0.5
STRENGTH: Final = 1.0
SAMPLE: Final = 4096
MOST: Final = 4.0
"""Nats: a price beyond this would hide somebody."""
_ROUNDS: Final = 30
_BLOCK: Final = 32
_QUIET: Final = 0.02
_LEAST_SAMPLED: Final = 256
"""Of each gender and wish, where there are so many."""


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


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody, as the balances see them."""

    vectors: Vectors
    rules: Rules
    mutual: float
    temperature: float

    def surplus(self, rows: Positions, columns: Positions, shift: float) -> Floats:
        """(rows, columns) K, divided by exp(shift)."""
        vectors = self.vectors
        a = vectors.taste[rows] @ vectors.trait[columns].T
        a += vectors.selectivity[rows, None] + vectors.popularity[columns]
        b = vectors.trait[rows] @ vectors.taste[columns].T
        b += vectors.popularity[rows, None] + vectors.selectivity[columns]
        ea, eb = np.exp(-np.clip(a, -30, 30)), np.exp(-np.clip(b, -30, 30))
        surplus = -np.log(1 + ea + eb + np.float32(1 - self.mutual) * ea * eb)
        surplus = surplus / np.float32(self.temperature) - np.float32(shift)
        kernel: Floats = np.where(self.rules.fit(rows, columns), np.exp(surplus), 0)
        return kernel


class MarketBalance:
    """The balance of one market. Call `step` until it says True; then `logs` has the factors."""

    def __init__(self, crowd: Crowd, people: Positions, sample: int, seed: int) -> None:
        self._crowd = crowd
        self._people = people
        self._sample, self._weights = _sampled(crowd.rules, people, sample, seed)
        self.stage = Stage.SCALE
        self.round = 0
        self.block = 0
        self.shift = 0.0
        """Nats that K is divided by, so that sums are about one."""
        self.sums: Doubles = np.zeros(len(self._sample))
        self.factors: Doubles = np.ones(len(self._sample))
        self.logs: Doubles = np.zeros(len(people))
        """Of each one's factor; no number for whom nobody fits."""
        self.imbalance = 0.0
        """How far, in nats, factors still moved in the last round: a mean over the sample."""

    def step(self) -> bool:
        """One block of rows; True when all is done."""
        if self.stage is Stage.EXTEND:
            return self._extend()
        part = slice(self.block * _BLOCK, (self.block + 1) * _BLOCK)
        self.sums[part] = self._sums_of(self._sample[part])
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
        before = self.factors
        self.factors = np.sqrt(before * _factors(self.sums))
        self.round += 1
        if self.round == _ROUNDS:
            self.imbalance = float(np.abs(np.log(self.factors / before)).mean())
            self.stage = Stage.EXTEND
        return False

    def _extend(self) -> bool:
        part = slice(self.block * _BLOCK, (self.block + 1) * _BLOCK)
        sums = self._sums_of(self._people[part])
        self.logs[part] = np.where(sums > 0, np.log(_factors(sums)), np.nan)
        self.block += 1
        return part.stop >= len(self._people)

    def _sums_of(self, rows: Positions) -> Doubles:
        kernel = self._crowd.surplus(rows, self._sample, self.shift)
        sums: Doubles = kernel @ (self.factors * self._weights)
        return sums


class Balance:
    """Call `step` until it says True; then `prices` has them. Nobody in the market: all zero.

    `market` (n) numbers everybody's market (`eros_matcher.learning.markets.markets_of`).
    """

    def __init__(
        self,
        vectors: Vectors,
        rules: Rules,
        market: Ints,
        *,
        mutual: float,
        seed: int,
        temperature: float = TEMPERATURE,
        strength: float = STRENGTH,
        sample: int = SAMPLE,
    ) -> None:
        self._crowd = Crowd(vectors, rules, mutual, temperature)
        self._strength = strength
        self._most_sampled = sample
        self._seed = seed
        self._order = np.argsort(market, kind="stable")
        self._bounds = np.flatnonzero(np.diff(market[self._order], prepend=-1, append=-1))
        self.markets = len(self._bounds) - 1 if len(market) else 0
        self._next = 0
        self._now: MarketBalance | None = None
        self._moved = 0.0
        self.blocks = 0
        """Steps made so far."""
        self.prices: Floats = np.zeros(len(market), dtype=np.float32)

    @property
    def imbalance(self) -> float:
        """How far factors still moved in the last round, in nats: a mean over the people."""
        return self._moved / max(len(self.prices), 1)

    def step(self) -> bool:
        """One block of rows of one market; True when all is done."""
        if self._next == self.markets or self._strength == 0:
            return True
        self.blocks += 1
        people = self._order[self._bounds[self._next] : self._bounds[self._next + 1]]
        if self._now is None:
            self._now = MarketBalance(self._crowd, people, self._most_sampled, self._seed)
        if not self._now.step():
            return False
        scale = -self._strength * self._crowd.temperature
        self.prices[people] = _levelled(scale * self._now.logs, self._crowd.rules.gender[people])
        self._moved += self._now.imbalance * len(people)
        self._next, self._now = self._next + 1, None
        if self._next < self.markets:
            return False
        self.prices = np.clip(self.prices - self.prices.min(), 0, MOST).astype(np.float32)
        return True


def _sampled(rules: Rules, people: Positions, most: int, seed: int) -> tuple[Positions, Doubles]:
    """Some of the people, ascending, and how many each of them stands for, one on average."""
    if len(people) <= most:
        return people, np.ones(len(people))
    random = np.random.default_rng(seed)
    kind = rules.gender[people].astype(np.int64) << 3 | rules.seeks[people]
    chosen: list[Positions] = []
    weights: list[Doubles] = []
    for one in np.unique(kind):
        of_it = people[kind == one]
        # The few who seek each other have a balance too: a proportional sample might miss them.
        count = min(len(of_it), max(_LEAST_SAMPLED, round(most * len(of_it) / len(people))))
        chosen.append(random.choice(of_it, count, replace=False))
        weights.append(np.full(count, len(of_it) / count))
    sample, weight = np.concatenate(chosen), np.concatenate(weights)
    order = np.argsort(sample)
    return sample[order], weight[order] / weight.mean()


def _levelled(prices: Doubles, gender: npt.NDArray[np.uint8]) -> Doubles:
    """Prices compare people of one gender and market: the balance leaves the rest open."""
    for one in np.unique(gender):
        known = prices[(gender == one) & np.isfinite(prices)]
        if len(known):
            prices[gender == one] -= np.median(known)
    # Whom nobody fits is in no list: any price does.
    return np.nan_to_num(prices, nan=0.0)


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
        markets_of(rules.gender, rules.seeks, rules.place),
        mutual=mutual,
        seed=seed,
        temperature=temperature,
        strength=strength,
        sample=sample,
    )
    while not balance.step():
        pass
    return balance.prices
