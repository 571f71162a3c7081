"""The people of a market who changed, and the best of them for rows that look at nobody else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eros_matcher.engine.best import Best, Keys, Positions, keys_of, positions_of, values_of
from eros_matcher.engine.scorer import LeftOut, Scorer
from eros_matcher.engine.seekers import Seekers
from eros_matcher.engine.walk import Walk
from eros_matcher.market.build import part_of
from eros_matcher.market.market import Market


class Changed:
    """Of `market` those at `positions` (ascending), side by side in tiles of their own.

    Memory: 700 bytes for each of them, and 37 KB a row.
    """

    def __init__(
        self,
        market: Market,
        positions: npt.NDArray[np.int32],
        seekers: Seekers,
        *,
        most: int,
        mutual: float,
    ) -> None:
        rows = len(seekers.selectivity)
        self._positions = positions
        self._seekers = seekers
        self._market = part_of(market, positions)
        self._best = Best(rows, most)
        self._left_out = LeftOut(rows)
        self._walk = Walk(rows, self._market.tiles)
        self._scorer = Scorer(self._market, seekers, self._best, self._left_out, mutual)

    def knows(self, positions: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which of these people of the market changed."""
        return self._found(positions)[1]

    def best(self, rows: Positions, left_out: list[npt.NDArray[np.int32]]) -> list[Keys]:
        """The best of those who changed for each of the rows, with the market's positions;
        `left_out` has positions of the market, one array for each of the rows."""
        walk = self._walk
        for row, out in zip(rows.tolist(), left_out, strict=True):
            at, there = self._found(out)
            self._left_out.put(row, at[there].astype(np.int32))
            walk.put(row, self._seekers.eligible(row, self._market), None, 0)
            self._best.put(row, np.empty(0, dtype=np.uint64))
            self._scorer.put(row)
        going = rows
        while len(going := going[walk.stop[going] < walk.tiles]):
            stop, block = walk.furthest_behind(going)
            self._scorer.step(block, int(walk.order[stop]))
            walk.go_on(block, stop)
        self._scorer.settle(rows)
        found = [self._best.of(row) for row in rows.tolist()]
        return [
            keys_of(values_of(k), self._positions[positions_of(k)].astype(np.intp)) for k in found
        ]

    def _found(
        self, positions: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        at = np.searchsorted(self._positions, positions)
        if not len(self._positions):
            return at, np.zeros(len(positions), dtype=bool)
        return at, self._positions[np.minimum(at, len(self._positions) - 1)] == positions
