"""Scores rows of seekers against tiles of the market, both directions at once.

    p(u likes v) = 1 / (1 + exp(-a)),  a = selectivity_u + popularity_v + <taste_u, trait_v>
    p(v likes u) = 1 / (1 + exp(-b)),  b = selectivity_v + popularity_u + <taste_v, trait_u>
    score(u, v)  = p(u likes v) * p(v likes u)

Two matrix products a tile give a and b. log(1 / (1 + exp(-x))) is concave, so for a given a + b
the score is greatest where a = b: only pairs with a + b above twice the logit of the square root
of the score to beat can enter. One addition and one comparison thus leave few pairs for
the rest, and filters that fit in bytes are compared at that speed too.

The products only propose: the last bits of what BLAS returns depend on where in a block a row
stands (with a period of 12 on AVX2 machines), and a row that was halted and goes on in other
company has to come out bit by bit the same. Whoever may enter is scored again by sums of a fixed
order, and only those scores are kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from eros_matcher.engine.best import Best, Keys, keys_of
from eros_matcher.engine.seekers import Seekers
from eros_matcher.market.market import TILE, Floats, Market

Positions = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

BLOCK: Final = 256
"""Rows a block at most: with TILE, 131,072 pairs, about half a millisecond."""
_MARGIN: Final = 1e-3
"""Far above the rounding of the products, so that no shortcut ever decides."""


class Scorer:
    """The scratch space of one process: 1.7 MB, whatever the market's size."""

    def __init__(self, market: Market, seekers: Seekers, best: Best, excluded: Excluded) -> None:
        self._market = market
        self._seekers = seekers
        self._best = best
        self._excluded = excluded
        self._need: Floats = np.full(len(seekers.selectivity), -np.inf, dtype=np.float32)
        self._left: Floats = np.zeros((BLOCK, seekers.taste.shape[1]), dtype=np.float32)
        self._a: Floats = np.empty((BLOCK, TILE), dtype=np.float32)
        self._b: Floats = np.empty((BLOCK, TILE), dtype=np.float32)
        self._sum: Floats = np.empty((BLOCK, TILE), dtype=np.float32)
        self._mask: Mask = np.empty((BLOCK, TILE), dtype=bool)
        self._test: Mask = np.empty((BLOCK, TILE), dtype=bool)

    def put(self, row: int) -> None:
        """The row was put anew: take over its score to beat."""
        self._raise_need(np.array([row]))

    def step(self, rows: Positions, tile: int) -> None:
        """Take the best of one tile for these rows (at most BLOCK, ascending)."""
        self._multiply(rows, tile)
        mask = self._mask[: len(rows)]
        self._filter(mask, rows, tile)
        at = _true_of(mask)
        if len(at):
            self._keep(rows, tile, at)

    def pairs(self, row: int, positions: Positions) -> Keys:
        """The keys of those of `positions` that pass the filters, in the given order."""
        seekers, market = self._seekers, self._market
        born = market.born[positions]
        passing = (
            seekers.accepts[row, market.group[positions]]
            & (born >= seekers.born_from[row])
            & (born <= seekers.born_to[row])
            & (market.born_from[positions] <= seekers.born[row])
            & (market.born_to[positions] >= seekers.born[row])
        )
        positions = positions[passing]
        rows = np.full(len(positions), row)
        near = self._near(rows, positions)
        positions, rows = positions[near], rows[near]
        return keys_of(self._exact(rows, positions), positions)

    def _multiply(self, rows: Positions, tile: int) -> None:
        count = len(rows)
        here = slice(tile * TILE, (tile + 1) * TILE)
        left, a, b, both = (x[:count] for x in (self._left, self._a, self._b, self._sum))
        np.take(self._seekers.taste, rows, axis=0, out=left)
        np.matmul(left, self._market.trait[here].T, out=a)
        np.take(self._seekers.trait, rows, axis=0, out=left)
        np.matmul(left, self._market.taste[here].T, out=b)
        np.add(a, b, out=both)
        np.greater(both, self._need[rows, None], out=self._mask[:count])

    def _filter(self, mask: Mask, rows: Positions, tile: int) -> None:
        seekers, market = self._seekers, self._market
        here = slice(tile * TILE, (tile + 1) * TILE)
        test = self._test[: len(rows)]
        least, greatest = market.tile_born[tile, :2]
        born = market.born[here]
        low, high = seekers.born_from[rows], seekers.born_to[rows]
        if low.max() > least:
            mask &= np.greater_equal(born, low[:, None], out=test)
        if high.min() < greatest:
            mask &= np.less_equal(born, high[:, None], out=test)
        own = seekers.born[rows, None]
        mask &= np.less_equal(market.born_from[here], own, out=test)
        mask &= np.greater_equal(market.born_to[here], own, out=test)
        group = market.group[here]
        if group[0] != group[-1]:
            # In a tile of one group, the group is why these rows look at it at all.
            mask &= seekers.accepts[rows[:, None], group]
        self._excluded.clear(mask, rows, tile)

    def _keep(self, rows: Positions, tile: int, at: Positions) -> None:
        row = rows.take(at // TILE)
        position = tile * TILE + at % TILE
        proposed = self._score(row, self._a.take(at), self._b.take(at))
        promising = proposed >= self._best.floor.take(row) * (1 - _MARGIN)
        row, position = row[promising], position[promising]
        near = self._near(row, position)
        row, position = row[near], position[near]
        score = self._exact(row, position)
        enters = score >= self._best.floor.take(row)
        if enters.any():
            keys = keys_of(score[enters], position[enters])
            self._raise_need(self._best.add(row[enters], keys))

    def _exact(self, rows: Positions, positions: Positions) -> Floats:
        """Scores whose bits depend on the two people alone."""
        seekers, market = self._seekers, self._market
        a = (seekers.taste.take(rows, axis=0) * market.trait.take(positions, axis=0)).sum(axis=1)
        b = (seekers.trait.take(rows, axis=0) * market.taste.take(positions, axis=0)).sum(axis=1)
        return self._score(rows, a, b)

    def _score(self, rows: Positions, a: Floats, b: Floats) -> Floats:
        with np.errstate(over="ignore"):
            likes = 1 + np.exp(-(a + self._seekers.selectivity.take(rows)))
            liked = 1 + np.exp(-(b + self._seekers.popularity.take(rows)))
            score: Floats = 1 / (likes * liked)
        return score

    def _near(self, rows: Positions, positions: Positions) -> Mask:
        apart = chords(self._seekers, rows, self._market, positions)
        near: Mask = apart <= self._seekers.reach.take(rows)
        near &= apart <= self._market.reach.take(positions)
        return near

    def _raise_need(self, rows: Positions) -> None:
        floor = self._best.floor[rows]
        with np.errstate(divide="ignore"):
            root = np.sqrt(floor.astype(np.float64))
            need = 2 * (np.log(root) - np.log1p(-root)) - _MARGIN
        own = self._seekers.selectivity[rows] + self._seekers.popularity[rows]
        self._need[rows] = np.where(floor > 0, need - own, -np.inf)


class Excluded:
    """Pairs that are left out whatever their score: a list of positions for each row."""

    def __init__(self, rows: int, tiles: int) -> None:
        self._tiles = tiles
        self._positions: list[npt.NDArray[np.int32]] = [np.empty(0, dtype=np.int32)] * rows
        self._place = np.full(rows, -1)
        self._sorted: tuple[Positions, npt.NDArray[np.int32], Positions] | None = None

    def put(self, row: int, positions: npt.NDArray[np.int32]) -> None:
        self._positions[row] = positions
        self._sorted = None

    def clear(self, mask: Mask, rows: Positions, tile: int) -> None:
        """Take this tile's pairs out of a mask whose rows are `rows`."""
        owners, positions, bounds = self._sorted or self._sort()
        part = slice(bounds[tile], bounds[tile + 1])
        if part.start == part.stop:
            return
        self._place[rows] = np.arange(len(rows))
        at = self._place[owners[part]]
        self._place[rows] = -1
        here = at >= 0
        mask[at[here], positions[part][here] - tile * TILE] = False

    def _sort(self) -> tuple[Positions, npt.NDArray[np.int32], Positions]:
        owners = np.repeat(np.arange(len(self._positions)), [len(p) for p in self._positions])
        positions = np.concatenate(self._positions)
        order = np.argsort(positions, kind="stable")
        owners, positions = owners[order], positions[order]
        bounds = np.searchsorted(positions, np.arange(self._tiles + 1) * TILE)
        self._sorted = owners, positions, bounds
        return self._sorted


def chords(seekers: Seekers, rows: Positions, market: Market, positions: Positions) -> Floats:
    """Squares of the straight distances in km."""
    apart: Floats = market.place[0].take(positions) - seekers.place[0].take(rows)
    apart *= apart
    for axis in (1, 2):
        along = market.place[axis].take(positions) - seekers.place[axis].take(rows)
        along *= along
        apart += along
    return apart


def _true_of(mask: Mask) -> Positions:
    """Flat positions of what is true, looking at eight at a time: most are false."""
    octets = mask.reshape(-1, 8)
    some = np.flatnonzero(octets.view(np.uint64))
    row, column = np.nonzero(octets[some])
    return some[row] * 8 + column
