"""Where a watcher stands in the event log. Pure.

The log is several streams (one per shard, one for pauses), each in order. A cursor is one position
per stream, and a digest of the shards' epochs: a shard gets a new epoch when its data may have
changed without a word (lost, restarted, its clock set back), and then no older cursor is good.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BI")
_ID: Final = struct.Struct(">Q")
_NUMBER_BITS: Final = 20  # leaves 44 bits for the milliseconds: until the year 2527
_NUMBER_MASK: Final = (1 << _NUMBER_BITS) - 1


class StreamId(NamedTuple):
    """Of an entry of one stream: milliseconds since 1970 and a number within them."""

    ms: int
    number: int

    @classmethod
    def parse(cls, text: bytes) -> StreamId:
        """Of ``b"1764000000000-0"``; ``ValueError`` if it is none."""
        ms, _, number = text.partition(b"-")
        return cls(int(ms), int(number))

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


BEGINNING: Final = StreamId(0, 0)


class CursorTooOld(Exception):
    """What came after the cursor is not all kept any more, or it is of another log."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """``ids`` are the last entries seen, by stream."""

    epoch: int
    ids: tuple[StreamId, ...]

    def encode(self) -> str:
        """Opaque text: 11 characters a stream and a few more."""
        packed = b"".join(_ID.pack(_pack(i)) for i in self.ids)
        return base64.urlsafe_b64encode(_HEAD.pack(_VERSION, self.epoch) + packed).decode()

    @classmethod
    def decode(cls, text: str, streams: int) -> Cursor:
        """``CursorTooOld`` for what no log with so many streams gave out."""
        try:
            data = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise CursorTooOld("the cursor is none of this service's") from None
        if len(data) != _HEAD.size + streams * _ID.size or data[0] != _VERSION:
            raise CursorTooOld("the cursor is of another version")
        _, epoch = _HEAD.unpack_from(data)
        ids = (_unpack(packed) for (packed,) in _ID.iter_unpack(data[_HEAD.size :]))
        return cls(epoch, tuple(ids))

    def advanced(self, stream: int, entry: StreamId) -> Cursor:
        """After one more entry of one stream."""
        return Cursor(self.epoch, (*self.ids[:stream], entry, *self.ids[stream + 1 :]))


def epoch_of(epochs: Sequence[bytes]) -> int:
    """One number for the epochs of all shards."""
    return zlib.crc32(b"\n".join(epochs))


def reaches(ids: Iterable[StreamId], others: Iterable[StreamId]) -> bool:
    """Whether in every stream the one is as far as the other."""
    return all(a >= b for a, b in zip(ids, others, strict=True))


def _pack(i: StreamId) -> int:
    # A position a little too early is only read again; one too late would lose something.
    return i.ms << _NUMBER_BITS | min(i.number, _NUMBER_MASK)


def _unpack(packed: int) -> StreamId:
    return StreamId(packed >> _NUMBER_BITS, packed & _NUMBER_MASK)
