"""The people a batch looks for, as columns: the other side of the product."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import Filters
from eros_matcher.features.model import DIMS, VECTOR_FLOATS
from eros_matcher.market import market as m
from eros_matcher.market.market import Floats, Market

GROUPS = 64
_ALL_GROUPS = np.arange(GROUPS)


class Seekers:
    """`rows` people and what the scorer compares of them; one row each, filled by `put`."""

    def __init__(self, rows: int, market: Market, year: int) -> None:
        self._market = market
        self._year = year
        self.taste: Floats = np.zeros((rows, DIMS + 1), dtype=np.float32)
        """Taste and a one, against trait and popularity."""
        self.trait: Floats = np.zeros((rows, DIMS + 1), dtype=np.float32)
        """Trait and a one, against taste and selectivity."""
        self.selectivity: Floats = np.zeros(rows, dtype=np.float32)
        self.popularity: Floats = np.zeros(rows, dtype=np.float32)
        self.born = np.zeros(rows, dtype=np.uint8)
        self.born_from = np.zeros(rows, dtype=np.uint8)
        self.born_to = np.zeros(rows, dtype=np.uint8)
        self.accepts: npt.NDArray[np.bool_] = np.zeros((rows, GROUPS), dtype=bool)
        self.place: Floats = np.zeros((3, rows), dtype=np.float32)
        self.reach: Floats = np.zeros(rows, dtype=np.float32)
        self.walk = walk(market.tiles)
        """The tiles in the order in which all rows visit them."""
        self.next_stop = np.zeros((rows, market.tiles + 1), dtype=np.int32)
        """(rows, tiles + 1) the first stop of the walk from here on that may hold somebody."""

    def put(self, row: int, filters: Filters, vector: bytes) -> None:
        """Fill one row. Raises ValueError for a vector that is not finite or of another size."""
        values = np.frombuffer(vector, dtype="<f4")
        if len(values) != VECTOR_FLOATS:
            raise ValueError(f"a vector of {len(values)} numbers instead of {VECTOR_FLOATS}")
        if not np.isfinite(values).all():
            raise ValueError("a vector with numbers that are none")
        self.taste[row, :DIMS], self.taste[row, DIMS] = values[:DIMS], 1
        self.trait[row, :DIMS], self.trait[row, DIMS] = values[DIMS : 2 * DIMS], 1
        self.selectivity[row], self.popularity[row] = values[2 * DIMS :]
        self.born[row] = max(0, min(255, filters.birth_year - m.FIRST_YEAR))
        self.born_from[row], self.born_to[row] = m.born_range(filters, self._year)
        self.accepts[row] = ((_ALL_GROUPS >> 3) & filters.seeks > 0) & (
            _ALL_GROUPS & filters.gender > 0
        )
        self.place[:, row] = m.place_of(filters)
        self.reach[row] = m.reach_of(filters)
        self._note_tiles(row, filters)

    def _note_tiles(self, row: int, filters: Filters) -> None:
        market = self._market
        here = np.sqrt(((market.tile_place[:, :3] - self.place[:, row]) ** 2).sum(axis=1))
        nearest = here - market.tile_place[:, 3]
        within = np.minimum(np.sqrt(self.reach[row]), market.tile_place[:, 4])
        born = market.tile_born
        eligible = (
            (market.tile_genders & filters.seeks > 0)
            & (market.tile_seeks & filters.gender > 0)
            & (born[:, 0] <= self.born_to[row])
            & (born[:, 1] >= self.born_from[row])
            & (born[:, 2] <= self.born[row])
            & (born[:, 3] >= self.born[row])
            & (nearest <= within)
        )
        self.keep_stops(row, np.flatnonzero(eligible[self.walk]))

    def keep_stops(self, row: int, stops: npt.NDArray[np.intp]) -> None:
        """Make these stops of the walk only, ascending."""
        here = np.full(len(self.walk) + 1, len(self.walk), dtype=np.int32)
        here[stops] = stops
        self.next_stop[row] = np.minimum.accumulate(here[::-1])[::-1]

    def stops_of(self, row: int) -> npt.NDArray[np.intp]:
        """The stops that the row makes."""
        here = self.next_stop[row, :-1]
        return np.flatnonzero(here == np.arange(len(here)))


def walk(tiles: int) -> npt.NDArray[np.intp]:
    """All tiles, each far from the one before.

    Neighbouring tiles hold people of neighbouring ages. In their order a row would climb to its
    best slowly and let nearly everybody in on the way; strides of the golden section, made coprime
    to the number of tiles, sample all ages evenly from the start.
    """
    stride = max(1, round(tiles * 0.618))
    while math.gcd(stride, tiles) > 1:
        stride += 1
    return np.arange(tiles, dtype=np.intp) * stride % max(tiles, 1)
