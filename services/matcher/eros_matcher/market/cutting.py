"""Where tiles end: at people whose ids say so, so that one who comes or goes moves few bounds."""

from __future__ import annotations

from typing import Final

import numpy as np

from eros_matcher.market.market import TILE, Bytes, Ints

LEAST: Final = TILE // 2
"""People a tile at least, but for the last one."""
_MASK: Final = np.uint64(TILE // 4 - 1)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def cut(ids: Bytes) -> Ints:
    """(tiles + 1) bounds of tiles of LEAST to TILE people, for people in the market's order."""
    people = len(ids)
    ends = np.flatnonzero(_ends_here(ids)) + 1
    bounds = [0]
    while bounds[-1] < people:
        at = bounds[-1]
        next_end = int(np.searchsorted(ends, at + LEAST))
        end = int(ends[next_end]) if next_end < len(ends) else people
        bounds.append(min(end, at + TILE, people))
    return np.array(bounds, dtype=np.int64)


def _ends_here(ids: Bytes) -> np.typing.NDArray[np.bool_]:
    # Whatever kind of UUID: the version's bits are in the first half, so both are mixed.
    halves = np.ascontiguousarray(ids).view("<u8").reshape(-1, 2)
    mixed = (halves[:, 0] ^ (halves[:, 1] * _MIX)) * _MIX
    ends: np.typing.NDArray[np.bool_] = (mixed >> np.uint64(40)) & _MASK == 0
    return ends
