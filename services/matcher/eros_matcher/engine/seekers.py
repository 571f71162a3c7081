"""The people a batch looks for, as columns: the other side of the product."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import Filters
from eros_matcher.engine.best import Positions
from eros_matcher.features.model import DIMS, VECTOR_FLOATS
from eros_matcher.kernel.shape import SIZE
from eros_matcher.market import market as m
from eros_matcher.market.build import is_broken
from eros_matcher.market.market import Floats, Market

_ROUNDING = 2e-5
"""Twice the worst rounding of a sum of 128 products, as a part of the lengths' product."""
_MARGIN = 1e-3
"""Far above all other rounding."""


class Seekers:
    """`rows` people and what the kernel compares of them; one row each, filled by `put`."""

    def __init__(self, rows: int, market: Market, year: int) -> None:
        self._market = market
        self._year = year
        self.vectors: Floats = np.zeros((rows, 2 * SIZE), dtype=np.float32)
        """Taste, then trait: against trait, then taste."""
        self.selectivity: Floats = np.zeros(rows, dtype=np.float32)
        self.popularity: Floats = np.zeros(rows, dtype=np.float32)
        self.born = np.zeros(rows, dtype=np.uint8)
        self.born_from = np.zeros(rows, dtype=np.uint8)
        self.born_to = np.zeros(rows, dtype=np.uint8)
        self.seeks = np.zeros(rows, dtype=np.uint8)
        """Against a group: whose gender it must have,"""
        self.gender = np.zeros(rows, dtype=np.uint8)
        """and whom it must seek."""
        self.place: Floats = np.zeros((rows, 3), dtype=np.float32)
        self.reach: Floats = np.zeros(rows, dtype=np.float32)
        self.margin: Floats = np.zeros(rows, dtype=np.float32)
        """How far the product may be from the truth, and more."""

    def put(self, row: int, filters: Filters, vector: bytes) -> None:
        """Fill one row. Raises ValueError for a broken vector."""
        values = np.frombuffer(vector, dtype="<f4")
        if is_broken(values):
            raise ValueError(
                f"a vector of {len(values)} numbers instead of {VECTOR_FLOATS}"
                if len(values) != VECTOR_FLOATS
                else "a vector with numbers that are none, or beyond all measure"
            )
        self.vectors[row, :DIMS] = values[:DIMS]
        self.vectors[row, SIZE : SIZE + DIMS] = values[DIMS : 2 * DIMS]
        self.selectivity[row], self.popularity[row] = values[2 * DIMS :]
        self.born[row] = max(0, min(255, filters.birth_year - m.FIRST_YEAR))
        self.born_from[row], self.born_to[row] = m.born_range(filters, self._year)
        self.seeks[row], self.gender[row] = int(filters.seeks) << 3, filters.gender
        self.place[row] = m.place_of(filters)
        self.reach[row] = m.reach_of(filters)
        length = np.sqrt(np.square(values[: 2 * DIMS], dtype=np.float64).sum())
        self.margin[row] = _MARGIN + _ROUNDING * length * self._market.scale[0]

    def digest(self, row: int) -> bytes:
        """16 bytes, the same for the same person as they are compared."""
        state = hashlib.blake2b(digest_size=16)
        for column in (
            *(self.vectors, self.selectivity, self.popularity, self.born, self.born_from),
            *(self.born_to, self.seeks, self.gender, self.place, self.reach),
        ):
            state.update(column[row].tobytes())
        return state.digest()

    def eligible(self, row: int, market: Market) -> npt.NDArray[np.bool_]:
        """(tiles) where there may be somebody for this row, of the whole market or a part."""
        here = np.sqrt(((market.tile_place[:, :3] - self.place[row]) ** 2).sum(axis=1))
        within = np.minimum(np.sqrt(self.reach[row]), market.tile_place[:, 4])
        born = market.tile_born
        eligible: npt.NDArray[np.bool_] = (
            (market.tile_genders & (self.seeks[row] >> 3) > 0)
            & (market.tile_seeks & self.gender[row] > 0)
            & (born[:, 0] <= self.born_to[row])
            & (born[:, 1] >= self.born_from[row])
            & (born[:, 2] <= self.born[row])
            & (born[:, 3] >= self.born[row])
            & (here - market.tile_place[:, 3] <= within)
        )
        return eligible


def chords(seekers: Seekers, row: int, market: Market, positions: Positions) -> Floats:
    """Squares of the straight distances in km."""
    apart: Floats = ((market.place[:, positions].T - seekers.place[row]) ** 2).sum(axis=1)
    return apart
