"""The best so far of each row, as they stream by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eros_matcher.market.market import Floats

Keys = npt.NDArray[np.uint64]

_LAST = np.uint64(0xFFFF_FFFF)
_SHIFT = np.uint64(32)


def keys_of(scores: Floats, positions: npt.NDArray[np.intp]) -> Keys:
    """One number that orders by score, then by position, the lower first.

    Scores are not negative, and such floats order as their bits do.
    """
    bits = scores.view(np.uint32).astype(np.uint64)
    return bits << _SHIFT | (_LAST - positions.astype(np.uint64))


def scores_of(keys: Keys) -> Floats:
    return (keys >> _SHIFT).astype(np.uint32).view(np.float32)


def positions_of(keys: Keys) -> npt.NDArray[np.int64]:
    return (_LAST - (keys & _LAST)).astype(np.int64)


class Best:
    """Keeps the `most` greatest keys of each row; the order in which they come does not matter.

    A row is cut back when it first is full, and then whenever it has grown by an eighth of
    `slack`, the most that may come at once. `floor` is the score to beat, 0 while there is room;
    between two cuts it lags behind, which lets in more than needed and nothing wrong.
    """

    def __init__(self, rows: int, most: int, slack: int) -> None:
        self.most = most
        self._lazy = most + slack // 8
        self._keys: Keys = np.zeros((rows, self._lazy + slack), dtype=np.uint64)
        self._count = np.zeros(rows, dtype=np.int64)
        self.floor: Floats = np.zeros(rows, dtype=np.float32)

    def put(self, row: int, keys: Keys) -> None:
        """Start the row from these keys, at most `most`."""
        self._keys[row] = 0
        self._keys[row, : len(keys)] = keys
        self._count[row] = len(keys)
        self.floor[row] = scores_of(keys).min() if len(keys) == self.most else 0

    def add(self, rows: npt.NDArray[np.intp], keys: Keys) -> npt.NDArray[np.intp]:
        """Take keys for rows (ascending, at most `slack` a row); returns the rows cut back."""
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        touched = rows.take(starts)
        counts = np.diff(starts, append=len(rows))
        rank = np.arange(len(rows)) - np.repeat(starts, counts)
        self._keys[rows, self._count[rows] + rank] = keys
        self._count[touched] += counts
        now = self._count[touched]
        full: npt.NDArray[np.intp] = touched[
            (now > self._lazy) | ((now >= self.most) & (self.floor[touched] == 0))
        ]
        if len(full):
            self._cut(full)
        return full

    def kept(self, row: int) -> Keys:
        """The keys of the row, the greatest first."""
        return np.sort(self.held(row))[::-1]

    def held(self, row: int) -> Keys:
        """The keys of the row in no order."""
        keys = self._keys[row, : self._count[row]]
        if len(keys) > self.most:
            keys = np.partition(keys, len(keys) - self.most)[len(keys) - self.most :]
        return keys.copy()

    def _cut(self, rows: npt.NDArray[np.intp]) -> None:
        width = int(self._count[rows].max())
        held = self._keys[rows, :width]
        if width > self.most:
            held.partition(width - self.most, axis=1)
            held = held[:, width - self.most :]
        self._keys[rows] = 0
        self._keys[rows, : held.shape[1]] = held
        self._count[rows] = np.minimum(self._count[rows], self.most)
        self.floor[rows] = scores_of(held.min(axis=1))
