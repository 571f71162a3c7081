"""The best of each row, as they stream by: keys in order, the least first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eros_matcher.market.market import Floats

Keys = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]

_LAST = np.uint64(0xFFFF_FFFF)
_SHIFT = np.uint64(32)


def keys_of(values: Floats, positions: Positions) -> Keys:
    """One number that orders by value, then by position, the lower first.

    Values are not negative, and such floats order as their bits do.
    """
    bits = values.view(np.uint32).astype(np.uint64)
    return bits << _SHIFT | (_LAST - positions.astype(np.uint64))


def values_of(keys: Keys) -> Floats:
    return (keys >> _SHIFT).astype(np.uint32).view(np.float32)


def positions_of(keys: Keys) -> npt.NDArray[np.int64]:
    return (_LAST - (keys & _LAST)).astype(np.int64)


class Best:
    """The `most` greatest keys of each row; the kernel adds, in whatever order they come."""

    def __init__(self, rows: int, most: int) -> None:
        self.most = most
        self.keys: Keys = np.zeros((rows, most), dtype=np.uint64)
        self.held = np.zeros(rows, dtype=np.int64)

    def put(self, row: int, keys: Keys) -> None:
        """Start the row from these keys, at most `most`."""
        self.keys[row] = 0
        self.keys[row, self.most - len(keys) :] = np.sort(keys)
        self.held[row] = len(keys)

    def of(self, row: int) -> Keys:
        """The keys of the row, the least first."""
        return self.keys[row, self.most - self.held[row] :].copy()

    def ordered(self, row: int) -> Keys:
        """The keys of the row, the greatest first."""
        return self.of(row)[::-1]
