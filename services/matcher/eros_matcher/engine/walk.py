"""The way of each row through the market's tiles."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from eros_matcher.engine.best import Positions


class Walk:
    """All rows visit the tiles in one order, each skipping those that are none of its business.

    A *stop* is a place in that order. 4 bytes a row and tile.
    """

    def __init__(self, rows: int, tiles: int) -> None:
        self.tiles = tiles
        self.order = spread_out(tiles)
        """The tiles in the order of the stops."""
        self._next = np.full((rows, tiles + 1), tiles, dtype=np.int32)
        self.stop = np.zeros(rows, dtype=np.int64)
        """Where each row is; `tiles` when it has been everywhere."""

    def put(self, row: int, wanted: npt.NDArray[np.bool_], most: int | None, draw: int) -> None:
        """Visit these tiles; at most `most` of them, evenly spread from a drawn one on."""
        stops = np.flatnonzero(wanted[self.order])
        if most is not None and len(stops) > most:
            spread = (np.arange(most) * (len(stops) / most)).astype(np.intp)
            stops = np.sort(stops[(draw % len(stops) + spread) % len(stops)])
        here = np.full(self.tiles + 1, self.tiles, dtype=np.int32)
        here[stops] = stops
        self._next[row] = np.minimum.accumulate(here[::-1])[::-1]
        self.stop[row] = self._next[row, 0]

    def ended(self, rows: Positions) -> Positions:
        """Those of the rows that have been everywhere."""
        everywhere: Positions = rows[self.stop[rows] == self.tiles]
        return everywhere

    def furthest_behind(self, rows: Positions) -> tuple[int, Positions]:
        """The least stop, and those of the rows that are there."""
        stops = self.stop[rows]
        stop = int(stops.min())
        return stop, rows[stops == stop]

    def go_on(self, rows: Positions, stop: int) -> None:
        """These have been at the stop."""
        self.stop[rows] = self._next[rows, stop + 1]


def spread_out(tiles: int) -> npt.NDArray[np.intp]:
    """All tiles, each far from the one before.

    Neighbouring tiles hold people of neighbouring ages. In their order a row would climb to its
    best slowly and let nearly everybody in on the way; strides of the golden section, made coprime
    to the number of tiles, sample all ages evenly from the start.
    """
    stride = max(1, round(tiles * 0.618))
    while math.gcd(stride, tiles) > 1:
        stride += 1
    return np.arange(tiles, dtype=np.intp) * stride % max(tiles, 1)
