"""What stays of a whole search, so that the next one need not look at everybody again. Pure.

A search under one model found the best of everybody. While the model stays, a person's score with
somebody changes only if one of the two changed. So of a search are kept all who fit and are worth
more than a floor, left out that night or not; the next search asks them anew, and whoever changed
since, and nobody else. Whoever is neither was worth no more than the floor and still is.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_HEAD: Final = struct.Struct("<Qd16s")
EVERYBODY: Final = -1.0
"""The floor of who keeps all that fit."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Of one person's search.

    `since` is a transaction of the database: what it and later ones wrote may be unknown to the
    search. `seeker` is a digest of what of the person themselves was compared.
    """

    since: int
    floor: float
    """What the people left out of `others` are worth at most; EVERYBODY: there are none."""
    seeker: bytes
    """16 bytes."""
    others: bytes
    """Ids of 16 bytes, in no order."""


def pack(kept: Kept) -> bytes:
    """As bytes; `unpack` is the way back."""
    return _HEAD.pack(kept.since, kept.floor, kept.seeker) + kept.others


def unpack(data: bytes | memoryview) -> Kept:
    """Raises ValueError for bytes that are no such thing."""
    try:
        since, floor, seeker = _HEAD.unpack_from(data)
    except struct.error as error:
        raise ValueError(f"nothing that was kept: {error}") from error
    others = bytes(data[_HEAD.size :])
    if len(others) % 16:
        raise ValueError(f"ids of {len(others)} bytes")
    return Kept(since, floor, seeker, others)
