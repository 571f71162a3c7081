"""What is known of one person after analysis, and how it travels between processes. Pure."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Final

from eros_common.ids import UserId, user_id_from_bytes
from eros_matcher.domain.people import Filters, Gender, Place

_FIXED: Final = struct.Struct("<16s?hBBBB3dHHfI")
_NONE: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Record:
    """A person's filters and vector. `filters` is None for somebody who is not in the market.

    `vector` is float32, little endian: taste, trait, selectivity, popularity; empty without
    filters. `interests` are cleaned, in the person's order.
    """

    user_id: UserId
    filters: Filters | None
    zone: str
    interests: tuple[str, ...]
    vector: bytes
    photos: int = 0
    words: int = 0
    """Characters of text, at most 300."""
    price: float = 0.0
    """Congestion price in nats, 0 or more."""


def pack(record: Record) -> bytes:
    """The record as bytes; `unpack` is the way back."""
    f = record.filters
    place = f.place if f else None
    tail = json.dumps([record.zone, list(record.interests)], separators=(",", ":")).encode()
    fixed = _FIXED.pack(
        record.user_id.bytes,
        f is not None,
        f.birth_year if f else 0,
        f.gender if f else 0,
        f.seeks if f else 0,
        f.age_min if f else 0,
        f.age_max if f else 0,
        place.lat if place else _NONE,
        place.lon if place else _NONE,
        f.max_km if f and f.max_km is not None else _NONE,
        record.photos,
        record.words,
        record.price,
        len(tail),
    )
    return fixed + tail + record.vector


def unpack(data: bytes | memoryview) -> Record:
    """Raises ValueError for bytes that are no record."""
    try:
        fixed = _FIXED.unpack_from(data)
        user, present, born, gender, seeks, low, high, lat, lon, km, *more, size = fixed
        tail = _FIXED.size + size
        zone, interests = json.loads(bytes(data[_FIXED.size : tail]))
    except (struct.error, ValueError) as error:
        raise ValueError(f"no record: {error}") from error
    filters = Filters(
        birth_year=born,
        gender=Gender(gender),
        seeks=Gender(seeks),
        age_min=low,
        age_max=high,
        place=None if lat != lat else Place(lat, lon),  # NaN alone differs from itself
        max_km=None if km != km else km,
    )
    return Record(
        user_id_from_bytes(user),
        filters if present else None,
        zone,
        tuple(interests),
        bytes(data[tail:]),
        *more,
    )
