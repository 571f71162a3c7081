"""Scores rows of seekers against tiles of the market, both directions at once.

    p(u likes v) = 1 / (1 + exp(-a)),  a = selectivity_u + popularity_v + <taste_u, trait_v>
    p(v likes u) = 1 / (1 + exp(-b)),  b = selectivity_v + popularity_u + <taste_v, trait_u>
    score(u, v)  = 1 / (1 + exp(-a) + exp(-b) + (1 - mutual) exp(-a) exp(-b))
                 ranked by score * exp(-price_v)

With mutual = 0 the score is p(u likes v) * p(v likes u); a model that has learned how far interest
is mutual beyond both (`eros_matcher.learning.calibrate`) says more.

One matrix product a tile gives a + b: taste and trait of the one, end to end, against trait and
taste of the other. For a given a + b the score is greatest where a = b, and concave there in its
logarithm: only pairs with a + b above what the value to beat needs can enter. The kernel
(`eros_matcher.kernel.source`) compares that, then filters, and scores those few who are left in an
order of operations that is the same for a pair wherever it stands; only such scores are kept. What
BLAS returns depends in its last bits on where in a block a row stands, and decides nothing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.engine.best import Best, Keys, Positions
from eros_matcher.engine.seekers import Seekers
from eros_matcher.kernel.native import kernel
from eros_matcher.kernel.shape import BATCH, LANES, POWERS, WAITING
from eros_matcher.market.columns import Array
from eros_matcher.market.market import TILE, Floats, Market

BLOCK: Final = 320
"""Rows a block at most: with TILE, 330,000 pairs, half a millisecond to one and a half."""
_FIRST_SLOPE: Final = 2.0


class Scorer:
    """The scratch space of one process: 1.7 MB and 24 KB a row, whatever the market's size."""

    def __init__(
        self, market: Market, seekers: Seekers, best: Best, left_out: LeftOut, mutual: float
    ) -> None:
        rows = len(seekers.selectivity)
        self._market = market
        self._seekers = seekers
        self._best = best
        self._left_out = left_out
        self._kernel = kernel()
        self.exact = 0
        """Pairs that were scored exactly."""
        self._need: Floats = np.full(rows, -np.inf, dtype=np.float32)
        self._slope: Floats = np.full(rows, _FIRST_SLOPE, dtype=np.float32)
        self._left: Floats = np.zeros((BLOCK, seekers.vectors.shape[1]), dtype=np.float32)
        self._rows = np.empty(0, dtype=np.int64)
        self._sums: Floats = np.empty(BLOCK * TILE, dtype=np.float32)
        self._mask = np.zeros(TILE + 8, dtype=np.uint8)
        self._order = np.zeros(WAITING + TILE, dtype=np.int32)
        self._waiting = np.zeros(rows, dtype=np.int64)
        # One more: a tile's own are listed after those that wait.
        self._waiting_at = np.zeros((rows + 1) * WAITING, dtype=np.int32)
        self._waiting_sum: Floats = np.zeros((rows + 1) * WAITING, dtype=np.float32)
        self._chosen = np.zeros(BATCH, dtype=np.int32)
        self._lanes: Floats = np.zeros(2 * LANES * BATCH, dtype=np.float32)
        self._values: Floats = np.zeros(BATCH, dtype=np.float32)
        self._powers = powers_of_two()
        self._note_addresses(market, seekers, best, mutual)

    def put(self, row: int) -> None:
        """The row was put anew: take over its value to beat."""
        self._need[row], self._slope[row] = -np.inf, _FIRST_SLOPE
        self._waiting[row] = 0
        # The block's copy of the row is of somebody else.
        self._rows = np.empty(0, dtype=np.int64)
        if self._best.held[row] == self._best.most:
            self._kernel.raise_need(row, *self._raise_arguments)

    def step(self, rows: Positions, tile: int) -> None:
        """Take the best of one tile for these rows (at most BLOCK, ascending)."""
        count = len(rows)
        if not np.array_equal(rows, self._rows):
            self._rows = rows.astype(np.int64)
            np.take(self._seekers.vectors, rows, axis=0, out=self._left[:count])
        first, end = self._bounds[tile], self._bounds[tile + 1]
        width = end - first
        sums = self._sums[: count * width].reshape(count, width)
        np.matmul(self._left[:count], self._market.vectors[first:end].T, out=sums)
        before, after = self._scan_arguments
        self.exact += self._kernel.scan(
            *(self._sums_at, self._rows.ctypes.data, count, first, width, 1, *before),
            *(*self._left_out.addresses(), *after),
        )

    def settle(self, rows: Positions) -> None:
        """Score whom these rows only noted so far."""
        if self._waiting[rows].any():
            at = rows.astype(np.int64)
            self.exact += self._kernel.settle(at.ctypes.data, len(at), *self._settle_arguments)

    def pairs(self, row: int, positions: Positions) -> Keys:
        """The keys of those of `positions` that pass the filters, in the given order."""
        at = positions.astype(np.int32)
        keys: Keys = np.zeros(len(at), dtype=np.uint64)
        self._kernel.pairs(
            *(row, at.ctypes.data, len(at), keys.ctypes.data, *self._pairs_arguments)
        )
        return keys[keys > 0]

    def _note_addresses(self, market: Market, seekers: Seekers, best: Best, mutual: float) -> None:
        """Once: what does not change from call to call. The arrays live as long as this does."""
        vectors = _addresses(seekers.vectors, market.vectors)
        biases = _addresses(seekers.selectivity, seekers.popularity)
        columns = _addresses(
            *(seekers.seeks, seekers.gender, seekers.born, seekers.born_from, seekers.born_to),
            *(seekers.place, seekers.reach),
        )
        filters = (
            *_addresses(market.group, market.born, market.born_from, market.born_to),
            *_addresses(market.place, market.reach),
            market.people,
        )
        margin, price = seekers.margin.ctypes.data, float(market.scale[1])
        others = _addresses(market.selectivity, market.popularity)
        weight = market.weight.ctypes.data
        heap = (*_addresses(best.keys, best.held), best.most)
        bar = _addresses(self._need, self._slope)
        lists = _addresses(self._waiting, self._waiting_at, self._waiting_sum)
        mask = self._mask.ctypes.data
        scratch = _addresses(
            *(self._order, self._chosen, self._lanes, self._values, self._values, self._powers)
        )
        prices = (market.price.ctypes.data, weight)
        self._bounds: list[int] = market.bounds.tolist()
        self._sums_at = self._sums.ctypes.data
        self._scan_arguments = (
            (
                *(*vectors, *biases, *columns, margin, *others, market.both.ctypes.data),
                *(*prices, *filters, price, mutual),
            ),
            (*heap, *bar, *lists, mask, mask, *scratch),
        )
        self._settle_arguments = (
            *(*vectors, *biases, margin, *others, *prices, price, mutual),
            *(*heap, *bar, *lists, *scratch),
        )
        self._pairs_arguments = (
            *(*vectors, *biases, *columns, *others, weight, *filters, mutual, *scratch[1:]),
        )
        self._raise_arguments = (
            *(heap[0], heap[2], *biases, margin, price, mutual, *bar, *scratch[3:5]),
        )


class LeftOut:
    """Pairs that are left out whatever their score: positions for each row, ascending."""

    def __init__(self, rows: int) -> None:
        self._positions: list[npt.NDArray[np.int32]] = [np.empty(0, dtype=np.int32)] * rows
        self._flat: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None = None
        self._addresses: tuple[int, ...] | None = None

    def put(self, row: int, positions: npt.NDArray[np.int32]) -> None:
        self._positions[row] = np.unique(positions)
        self._addresses = None

    def addresses(self) -> tuple[int, ...]:
        """Of all positions one row after the other, and of where each row's begin."""
        if self._addresses is None:
            ends = np.cumsum([0, *map(len, self._positions)], dtype=np.int64)
            # One more, so that there is an address where nobody is left out.
            flat = np.concatenate([*self._positions, np.zeros(1, dtype=np.int32)])
            self._flat = flat, ends
            self._addresses = _addresses(flat, ends)
        return self._addresses


@cache
def powers_of_two() -> npt.NDArray[np.float64]:
    """The kernel's tables, each number the nearest to the truth on every machine."""
    parts = [float(Decimal(2) ** (Decimal(k) / 32)) for k in range(32)]
    return np.concatenate([np.ldexp(1.0, np.arange(-POWERS, POWERS + 1)), parts])


def _addresses(*arrays: Array) -> tuple[int, ...]:
    """Of arrays that the kernel is given; each must outlive the call."""
    for array in arrays:
        if not array.flags.c_contiguous:
            raise ValueError("the kernel takes whole arrays only")
    return tuple(array.ctypes.data for array in arrays)
