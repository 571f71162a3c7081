"""Makes a market of people's records: orders them, cuts tiles, says what each tile holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import Filters
from eros_matcher.features.model import DIMS, GREATEST, VECTOR_FLOATS
from eros_matcher.kernel.shape import SIZE
from eros_matcher.market import market as m
from eros_matcher.market.market import Market
from eros_matcher.market.tiles import born_of_tiles, even, masks_of, places_of

_CELL_DEGREES: Final = 1.0


@dataclass(frozen=True, slots=True)
class Columns:
    """`n` people in any order, as the builder collects them."""

    ids: m.Bytes
    """(n, 16)"""
    vectors: m.Floats
    """(n, VECTOR_FLOATS) taste, trait, selectivity, popularity."""
    small: m.Ints
    """(n, 5) group, cell of the grid, born, born_from, born_to."""
    places: npt.NDArray[np.float64]
    """(n, 4) place and reach."""
    tokens: npt.NDArray[np.uint64]
    """(n, 16)"""
    prices: m.Floats
    """(n)"""
    written: npt.NDArray[np.uint64]
    """(n) the transaction that last changed each."""


@dataclass(slots=True)
class MarketBuilder:
    """Takes people in chunks, in any order; `build` gives the same market for the same people.

    Memory: about 1.5 KB a person while building, twice what the market holds.
    """

    year: int
    dropped: int = 0
    """People left out because their vector is broken."""
    _ids: list[bytes] = field(default_factory=list)
    _vectors: list[m.Floats] = field(default_factory=list)
    _small: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _places: list[tuple[float, float, float, float]] = field(default_factory=list)
    _tokens: list[bytes] = field(default_factory=list)
    _prices: list[float] = field(default_factory=list)
    _written: list[int] = field(default_factory=list)

    def add(
        self,
        user: bytes,
        filters: Filters,
        vector: bytes,
        tokens: bytes,
        price: float = 0.0,
        written: int = 0,
    ) -> None:
        """One person: id (16 bytes), filters, vector and tokens as stored, congestion price, and
        the transaction that last changed any of it.

        A price that is none counts as 0.
        """
        values = np.frombuffer(vector, dtype="<f4")
        if is_broken(values):
            self.dropped += 1
            return
        self._ids.append(user)
        self._vectors.append(values)
        born = max(0, min(255, filters.birth_year - m.FIRST_YEAR))
        low, high = m.born_range(filters, self.year)
        self._small.append((m.group_of(filters), _cell_of(filters), born, low, high))
        self._places.append((*m.place_of(filters), m.reach_of(filters)))
        self._tokens.append(tokens[:128].ljust(128, b"\0"))
        self._prices.append(price if 0 <= price < GREATEST else 0.0)
        self._written.append(written)

    def build(self) -> Market:
        people = len(self._ids)
        return market_of_columns(
            Columns(
                ids=np.frombuffer(b"".join(self._ids), dtype=np.uint8).reshape(people, 16),
                vectors=np.array(self._vectors, dtype=np.float32).reshape(people, VECTOR_FLOATS),
                small=np.array(self._small, dtype=np.int64).reshape(people, 5),
                places=np.array(self._places, dtype=np.float64).reshape(people, 4),
                tokens=np.frombuffer(b"".join(self._tokens), dtype="<u8").reshape(people, 16),
                prices=np.array(self._prices, dtype=np.float32),
                written=np.array(self._written, dtype=np.uint64),
            )
        )


def is_broken(vector: m.Floats) -> bool:
    """Whether a stored vector is of another size, not finite, or beyond what a model makes."""
    # Not a number is not less than anything either.
    return len(vector) != VECTOR_FLOATS or not bool((np.abs(vector) < GREATEST).all())


def market_of_columns(columns: Columns) -> Market:
    """The market of people who are known to be whole; the same whatever their order."""
    text = np.ascontiguousarray(columns.ids).reshape(-1).view("S16")
    keys = columns.small
    order = np.lexsort((text, keys[:, 2], keys[:, 1], keys[:, 0]))
    ids, small = columns.ids[order], columns.small[order]
    people = len(ids)
    stored = columns.vectors[order]
    vectors = np.zeros((people, 2 * SIZE), dtype=np.float32)
    vectors[:, :DIMS] = stored[:, DIMS : 2 * DIMS]
    vectors[:, SIZE : SIZE + DIMS] = stored[:, :DIMS]
    selectivity, popularity = (np.ascontiguousarray(stored[:, 2 * DIMS + k]) for k in (0, 1))
    places = columns.places[order]
    place, reach = places[:, :3].astype(np.float32), places[:, 3].astype(np.float32)
    tokens = columns.tokens[order]
    vocabulary, frequency = np.unique(tokens[tokens > 0], return_counts=True)
    group, born, born_from, born_to = (small[:, k].astype(np.uint8) for k in (0, 2, 3, 4))
    price = columns.prices[order]
    written = columns.written[order]
    by_written = np.argsort(written, kind="stable").astype(np.int32)
    people_of: dict[str, Any] = {
        "ids": ids,
        "vectors": vectors,
        "selectivity": selectivity,
        "popularity": popularity,
        "both": selectivity + popularity,
        "price": price,
        "weight": np.exp(-price.astype(np.float64)).astype(np.float32),
        "group": group,
        "born": born,
        "born_from": born_from,
        "born_to": born_to,
        "reach": reach,
        "tokens": tokens,
    }
    return Market(
        **people_of,
        place=np.ascontiguousarray(place.T),
        written=written[by_written],
        by_written=by_written,
        vocabulary=vocabulary,
        frequency=frequency.astype(np.int32),
        scale=np.array(
            [
                math.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0)) * 1.001,
                price.astype(np.float64).mean() if people else 0.0,
            ]
        ),
        **_by_id(ids),
        **_tiles(people_of, place),
    )


def part_of(market: Market, positions: npt.NDArray[np.int32]) -> Market:
    """The market of these people (ascending) alone; as for when they changed, it knows nothing."""
    people_of: dict[str, Any] = {name: getattr(market, name)[positions] for name in _OF_PEOPLE}
    place = np.ascontiguousarray(market.place[:, positions])
    return Market(
        **people_of,
        place=place,
        written=np.zeros(len(positions), dtype=np.uint64),
        by_written=np.arange(len(positions), dtype=np.int32),
        vocabulary=market.vocabulary,
        frequency=market.frequency,
        scale=market.scale,
        **_by_id(people_of["ids"]),
        **_tiles(people_of, place.T),
    )


_OF_PEOPLE: Final = (
    *("ids", "vectors", "selectivity", "popularity", "both", "price", "weight", "group", "born"),
    *("born_from", "born_to", "reach", "tokens"),
)


def _by_id(ids: m.Bytes) -> dict[str, Any]:
    by_id = np.argsort(ids.reshape(-1).view("S16")).astype(np.int32)
    return {"by_id": by_id, "id_high": ids.view(">u8")[by_id, 0].astype(np.uint64)}


def _tiles(people_of: Mapping[str, Any], place: m.Floats) -> dict[str, Any]:
    group, born = people_of["group"], people_of["born"]
    bounds = even(len(group))
    return {
        "bounds": bounds,
        "tile_genders": masks_of(group >> np.uint8(3), bounds),
        "tile_seeks": masks_of(group & np.uint8(7), bounds),
        "tile_born": born_of_tiles(bounds, born, people_of["born_from"], people_of["born_to"]),
        "tile_place": places_of(bounds, place, people_of["reach"]),
    }


def _cell_of(filters: Filters) -> int:
    if filters.place is None:
        return -1
    north = int((filters.place.lat + 90) / _CELL_DEGREES)
    return north * 1000 + int((filters.place.lon + 180) / _CELL_DEGREES)
