"""Makes a market of people's records: orders them, cuts tiles, says what each tile holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from eros_matcher.domain.people import Filters
from eros_matcher.features.model import DIMS, VECTOR_FLOATS
from eros_matcher.market import market as m
from eros_matcher.market.market import TILE, Market

Scalar = TypeVar("Scalar", bound=np.generic)

_CELL_DEGREES: Final = 1.0


@dataclass(slots=True)
class MarketBuilder:
    """Takes people in chunks, in any order; `build` gives the same market for the same people.

    Memory: about 1.5 KB a person while building, twice what the market holds.
    """

    year: int
    dropped: int = 0
    """People left out because their vector is not finite or of another size."""
    _ids: list[bytes] = field(default_factory=list)
    _vectors: list[m.Floats] = field(default_factory=list)
    _small: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _places: list[tuple[float, float, float, float]] = field(default_factory=list)
    _tokens: list[npt.NDArray[np.uint64]] = field(default_factory=list)

    def add(self, user: bytes, filters: Filters, vector: bytes, tokens: bytes) -> None:
        """One person: id (16 bytes), filters, vector and tokens as stored."""
        values = np.frombuffer(vector, dtype="<f4")
        if len(values) != VECTOR_FLOATS or not np.isfinite(values).all():
            self.dropped += 1
            return
        self._ids.append(user)
        self._vectors.append(values)
        born = max(0, min(255, filters.birth_year - m.FIRST_YEAR))
        low, high = m.born_range(filters, self.year)
        place = filters.place
        cell = (
            -1
            if place is None
            else int((place.lat + 90) / _CELL_DEGREES) * 1000
            + int((place.lon + 180) / _CELL_DEGREES)
        )
        self._small.append((m.group_of(filters), cell, born, low, high))
        self._places.append((*m.place_of(filters), m.reach_of(filters)))
        row = np.zeros(16, dtype=np.uint64)
        known = np.frombuffer(tokens, dtype="<u8")[:16]
        row[: len(known)] = known
        self._tokens.append(row)

    def build(self) -> Market:
        people = len(self._ids)
        ids = np.frombuffer(b"".join(self._ids), dtype=np.uint8).reshape(people, 16)
        small = np.array(self._small, dtype=np.int64).reshape(people, 5)
        text = ids.reshape(-1).view("S16")
        order = np.lexsort((text, small[:, 2], small[:, 1], small[:, 0]))
        ids, small = ids[order], small[order]
        padded = -(-people // TILE) * TILE
        vectors = np.array(self._vectors, dtype=np.float32).reshape(people, VECTOR_FLOATS)[order]
        places = np.array(self._places, dtype=np.float64).reshape(people, 4)[order]
        tokens = np.array(self._tokens, dtype=np.uint64).reshape(people, 16)[order]
        vocabulary, frequency = np.unique(tokens[tokens > 0], return_counts=True)
        group = _padded(small[:, 0].astype(np.uint8), padded, m.NO_GROUP)
        born = [
            _padded(small[:, column].astype(np.uint8), padded, 255 if column < 4 else 0)
            for column in (2, 3, 4)
        ]
        place = _padded(places[:, :3].astype(np.float32), padded, m.NOWHERE[0])
        reach = _padded(places[:, 3].astype(np.float32), padded, 0)
        return Market(
            ids=ids,
            by_id=np.argsort(ids.reshape(-1).view("S16")).astype(np.int32),
            taste=_padded(vectors[:, [*range(DIMS), 2 * DIMS]], padded, 0),
            trait=_padded(vectors[:, [*range(DIMS, 2 * DIMS), 2 * DIMS + 1]], padded, 0),
            group=group,
            born=born[0],
            born_from=born[1],
            born_to=born[2],
            place=np.ascontiguousarray(place.T),
            reach=reach,
            tokens=tokens,
            vocabulary=vocabulary,
            frequency=frequency.astype(np.int32),
            tile_genders=_mask_of_tiles(group >> np.uint8(3)),
            tile_seeks=_mask_of_tiles(group & np.uint8(7)),
            tile_born=_born_of_tiles(people, *born),
            tile_place=_place_of_tiles(place, reach, people),
        )


def _padded(values: npt.NDArray[Scalar], length: int, fill: float) -> npt.NDArray[Scalar]:
    result = np.full((length, *values.shape[1:]), fill, dtype=values.dtype)
    result[: len(values)] = values
    return result


def _mask_of_tiles(values: m.Bytes) -> m.Bytes:
    masks: m.Bytes = np.bitwise_or.reduce(values.reshape(-1, TILE), axis=1)
    return masks


def _born_of_tiles(people: int, *columns: m.Bytes) -> m.Bytes:
    # The padding must widen nothing: it is given the last person's values for this.
    if people:
        columns = tuple(
            np.concatenate([values[:people], np.repeat(values[people - 1], len(values) - people)])
            for values in columns
        )
    tiles = [values.reshape(-1, TILE) for values in columns]
    return np.stack(
        [tiles[0].min(axis=1), tiles[0].max(axis=1), tiles[1].min(axis=1), tiles[2].max(axis=1)],
        axis=1,
    )


def _place_of_tiles(place: m.Floats, reach: m.Floats, people: int) -> m.Floats:
    result = np.zeros((len(place) // TILE, 5), dtype=np.float32)
    for tile in range(len(result)):
        part = slice(tile * TILE, min((tile + 1) * TILE, people))
        here = place[part].astype(np.float64)
        centre = here.mean(axis=0)
        radius = np.sqrt(((here - centre) ** 2).sum(axis=1)).max()
        # Rounded outwards: a tile that is taken for nothing costs little, one left out is wrong.
        result[tile] = (*centre, radius * 1.0001 + 0.01, np.sqrt(reach[part].max()))
    return result
