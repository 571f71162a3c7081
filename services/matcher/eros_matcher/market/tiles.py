"""What each tile holds, so that whole tiles can be left out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eros_matcher.market.market import TILE, Bytes, Floats, Ints


def even(people: int) -> Ints:
    """(tiles + 1) bounds of as few tiles as TILE allows, all of nearly the same size."""
    tiles = -(-people // TILE)
    return np.arange(tiles + 1, dtype=np.int64) * people // max(tiles, 1)


def masks_of(values: Bytes, bounds: Ints) -> Bytes:
    """(tiles) all bits that occur."""
    masks: Bytes = np.bitwise_or.reduceat(values, bounds[:-1]) if len(values) else values
    return masks


def born_of_tiles(bounds: Ints, born: Bytes, born_from: Bytes, born_to: Bytes) -> Bytes:
    """(tiles, 4) least and greatest of born, least born_from, greatest born_to."""
    if not len(born):
        return np.empty((0, 4), dtype=np.uint8)
    starts = bounds[:-1]
    return np.stack(
        [
            np.minimum.reduceat(born, starts),
            np.maximum.reduceat(born, starts),
            np.minimum.reduceat(born_from, starts),
            np.maximum.reduceat(born_to, starts),
        ],
        axis=1,
    )


def places_of(bounds: Ints, place: Floats, reach: Floats) -> Floats:
    """(tiles, 5) centre, radius, greatest reach as a chord, all km."""
    result = np.zeros((len(bounds) - 1, 5), dtype=np.float32)
    for tile, (start, end) in enumerate(pairwise(bounds)):
        here = place[start:end].astype(np.float64)
        centre = here.mean(axis=0)
        radius = np.sqrt(((here - centre) ** 2).sum(axis=1)).max()
        # Rounded outwards: a tile that is taken for nothing costs little, one left out is wrong.
        result[tile] = (*centre, radius * 1.0001 + 0.01, np.sqrt(reach[start:end].max()))
    return result
