"""How a batch's input and results travel between the parent and the child. Pure, no NumPy.

A payload is a JSON header and one part a row; a part is a tuple of byte strings.
"""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from eros_common.ids import UserId
from eros_matcher.domain.kept import Kept
from eros_matcher.domain.kept import pack as pack_kept
from eros_matcher.domain.kept import unpack as unpack_kept
from eros_matcher.domain.lists import Suggestion
from eros_matcher.features.record import Record
from eros_matcher.features.record import pack as pack_record
from eros_matcher.features.record import unpack as unpack_record

_HEAD: Final = struct.Struct("<II")
_COUNT: Final = struct.Struct("<I")


class BrokenPayloadError(Exception):
    """Bytes that are no payload."""


def pack(header: dict[str, Any], rows: Sequence[Sequence[bytes]]) -> bytes:
    """The payload; every row has the same number of strings."""
    text = json.dumps(header, separators=(",", ":")).encode()
    strings = [string for row in rows for string in row]
    sizes = struct.pack(f"<{len(strings)}I", *map(len, strings))
    width = len(rows[0]) if rows else 0
    return b"".join((_HEAD.pack(len(text), width), text, sizes, *strings))


class Payload:
    """A payload opened: the header, and each row's strings as views."""

    def __init__(self, data: memoryview, rows: int) -> None:
        try:
            size, width = _HEAD.unpack_from(data)
            start = _HEAD.size + size
            self.header: dict[str, Any] = json.loads(bytes(data[_HEAD.size : start]))
            sizes = struct.unpack_from(f"<{rows * width}I", data, start)
        except (struct.error, ValueError) as error:
            raise BrokenPayloadError(str(error)) from error
        at = start + rows * width * _COUNT.size
        self._width = width
        self._bounds = [at]
        for size in sizes:
            at += size
            self._bounds.append(at)
        if at != len(data):
            raise BrokenPayloadError(f"{len(data)} bytes where {at} are announced")
        self._data = data

    def row(self, row: int) -> list[memoryview]:
        first = row * self._width
        return [
            self._data[self._bounds[index] : self._bounds[index + 1]]
            for index in range(first, first + self._width)
        ]

    def close(self) -> None:
        """Let go of the view."""
        self._data = memoryview(b"")


def pack_analyzed(model_version: int, record: Record) -> bytes:
    """The result of one row of an analysis as bytes; `unpack_analyzed` is the way back."""
    return _COUNT.pack(model_version) + pack_record(record)


def unpack_analyzed(data: bytes) -> tuple[int, Record]:
    """The version of the model whose vector it is, and the record."""
    (model_version,) = _COUNT.unpack_from(data)
    return model_version, unpack_record(memoryview(data)[_COUNT.size :])


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one row of a match or a score."""

    model_version: int
    market_version: str
    suggestions: tuple[Suggestion, ...]
    kept: Kept | None = None
    """What the next search need not look for again."""


def pack_found(found: Found) -> bytes:
    """The result as bytes; `unpack_found` is the way back."""
    people = [[s.other_id.hex, s.score, s.distance_km, s.reasons] for s in found.suggestions]
    kept = None if found.kept is None else b64encode(pack_kept(found.kept)).decode()
    whole = [found.model_version, found.market_version, people, kept]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def unpack_found(data: bytes) -> Found:
    model_version, market_version, people, kept = json.loads(data)
    return Found(
        model_version,
        market_version,
        tuple(
            Suggestion(UserId(UUID(user)), score, distance, tuple(reasons))
            for user, score, distance, reasons in people
        ),
        None if kept is None else unpack_kept(b64decode(kept)),
    )


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """The result of a learning."""

    body: bytes
    cutoff: datetime
    loss: float | None
    people: bytes
    """All of it, with a digest of 32 bytes before it."""
    auc: float | None
    """How well decisions that were held out are put in order; None where there were too few."""
    imbalance: float
    """How far congestion prices still moved at the end, in nats."""
    markets: int
    blocks: int
    """Steps that learning took, over all turns."""


def unpack_learned(data: bytes) -> LearnedModel:
    """Of the bytes of `eros_matcher.programs.learn`; raises BrokenPayloadError."""
    try:
        (size,) = _COUNT.unpack_from(data, 8)
        meta = json.loads(data[12 : 12 + size])["meta"]
        body, loss = str(meta["model"]).encode(), meta["loss"]
        cutoff = datetime.fromisoformat(meta["cutoff"])
        people = hashlib.sha256(data).digest() + data
        told = meta["auc"], meta["imbalance"], meta["markets"], meta["blocks"]
    except (struct.error, ValueError, KeyError) as error:
        raise BrokenPayloadError(f"no learned model: {error!r}") from error
    return LearnedModel(body, cutoff, loss, people, *told)
