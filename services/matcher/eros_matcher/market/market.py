"""The market in memory: people as columns, in tiles of neighbours.

People are ordered by gender and whom they seek, then by a coarse grid of places, then by age, so
that a tile is nearly uniform and most tiles are none of a given person's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import EARTH_KM, Filters
from eros_matcher.features.model import DIMS
from eros_matcher.kernel.shape import SIZE
from eros_matcher.market.columns import Array, BrokenFileError

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

TILE: Final = 1024
"""People a tile at most."""
HISTORY: Final = ("written", "by_written")
"""Columns that say when people changed; two markets are the same whatever these say."""
FIRST_YEAR: Final = 1900
"""Birth years are stored as bytes counted from here."""
NOWHERE: Final = (1e9, 0.0, 0.0)
"""An unknown place: beyond every limit, and next to every other unknown place."""
_SAFETY_KM: Final = 0.005
"""Places are float32 (to about half a metre): a limit is applied this much tighter."""


@dataclass(frozen=True, slots=True)
class Market:
    """`n` people; the arrays are read-only."""

    ids: Bytes
    """(n, 16)"""
    by_id: npt.NDArray[np.int32]
    """(n) positions in the order of the ids;"""
    id_high: npt.NDArray[np.uint64]
    """(n) the first halves of the ids in that order."""
    vectors: Floats
    """(n, 2 SIZE) trait, then taste, each filled up with zeros."""
    selectivity: Floats
    """(n) what makes them like others,"""
    popularity: Floats
    """(n) what makes others like them,"""
    both: Floats
    """(n) the sum of the two."""
    price: Floats
    """(n) what congestion costs: the log of `weight`, negated."""
    weight: Floats
    """(n) what a score is multiplied by to rank it."""
    group: Bytes
    """(n) gender and seeks, `group_of`."""
    born: Bytes
    """(n) birth year - FIRST_YEAR."""
    born_from: Bytes
    """(n) the earliest birth year they accept."""
    born_to: Bytes
    """(n) the latest."""
    place: Floats
    """(3, n) km from the Earth's centre."""
    reach: Floats
    """(n) how far they look: the square of the chord in km, or infinity."""
    tokens: npt.NDArray[np.uint64]
    """(n, 16) interests, 0 where there are fewer."""
    vocabulary: npt.NDArray[np.uint64]
    """(w) all tokens, ascending."""
    frequency: npt.NDArray[np.int32]
    """(w) how many people have each."""
    written: npt.NDArray[np.uint64]
    """(n) the transactions that last changed each, ascending;"""
    by_written: npt.NDArray[np.int32]
    """(n) positions in that order."""
    bounds: Ints
    """(tiles + 1) where each tile begins, and where the last one ends;"""
    tile_genders: Bytes
    """(tiles) masks: who is in the tile,"""
    tile_seeks: Bytes
    """and whom they seek;"""
    tile_born: Bytes
    """(tiles, 4) least and greatest of born, least born_from, greatest born_to;"""
    tile_place: Floats
    """(tiles, 5) centre, radius, greatest reach as a chord, all km."""
    scale: npt.NDArray[np.float64]
    """(2) the greatest length of a vector, the mean price."""

    @property
    def people(self) -> int:
        return len(self.ids)

    @property
    def tiles(self) -> int:
        return len(self.bounds) - 1

    @property
    def trait(self) -> Floats:
        """(n, d)"""
        return self.vectors[:, :DIMS]

    @property
    def taste(self) -> Floats:
        """(n, d)"""
        return self.vectors[:, SIZE : SIZE + DIMS]

    def arrays(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: dict[str, Any]) -> Market:
        """Raises BrokenFileError for another layout."""
        try:
            return cls(**arrays)
        except TypeError as error:
            raise BrokenFileError(f"another layout: {error}") from error

    def changed_since(self, transaction: int) -> npt.NDArray[np.int32]:
        """Where those are who were changed by this transaction or a later one."""
        first = int(np.searchsorted(self.written, np.uint64(transaction)))
        changed: npt.NDArray[np.int32] = self.by_written[first:]
        return changed

    def positions(self, ids: bytes | memoryview) -> npt.NDArray[np.int32]:
        """Where these people (16 bytes each) are; those not in the market are left out."""
        big = np.frombuffer(ids, dtype=">u8").reshape(-1, 2)
        if not len(big) or not self.people:
            return np.empty(0, dtype=np.int32)
        high = big[:, 0].astype(np.uint64)
        first = np.minimum(np.searchsorted(self.id_high, high), self.people - 1)
        at = self.by_id[first]
        there = (self.ids.view(">u8")[at] == big).all(axis=1)
        # Of ids that begin alike only the first was looked at.
        alike = np.flatnonzero(~there & (self.id_high[first] == high))
        if len(alike):
            at[alike], there[alike] = self._among_alike(np.frombuffer(ids, dtype="S16")[alike])
        found: npt.NDArray[np.int32] = at[there]
        return found

    def _among_alike(
        self, wanted: npt.NDArray[np.bytes_]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        known = self.ids.reshape(-1).view("S16")
        # S16 compares without trailing zero bytes, which is the same order and equality here.
        at = np.searchsorted(known, wanted, sorter=self.by_id)
        nearest = self.by_id.take(np.minimum(at, self.people - 1))
        return nearest, known[nearest] == wanted


def group_of(filters: Filters) -> int:
    """Gender and whom it seeks in one number, 1 to 63: two masks of three bits."""
    return int(filters.gender) << 3 | int(filters.seeks)


def born_range(filters: Filters, year: int) -> tuple[int, int]:
    """The birth years that somebody accepts in this year, as stored."""
    earliest = year - filters.age_max - FIRST_YEAR
    return max(0, min(255, earliest)), max(0, min(255, year - filters.age_min - FIRST_YEAR))


def place_of(filters: Filters) -> tuple[float, float, float]:
    return filters.place.xyz() if filters.place else NOWHERE


def reach_of(filters: Filters) -> float:
    """The square of the longest chord (km) within the person's limit."""
    if filters.max_km is None or filters.place is None:
        return math.inf
    angle = max(filters.max_km - _SAFETY_KM, 0.0) / EARTH_KM
    return (2 * EARTH_KM * math.sin(min(angle, math.pi) / 2)) ** 2


def arc_km(chord_squared: float) -> float | None:
    """The distance along the ground; None from or to nowhere."""
    chord = math.sqrt(chord_squared)
    if chord > 3 * EARTH_KM:
        return None
    return 2 * EARTH_KM * math.asin(min(1.0, chord / (2 * EARTH_KM)))
