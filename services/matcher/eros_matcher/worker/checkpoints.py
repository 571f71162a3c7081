"""A stored checkpoint: what it was made under, then the program's own state. Pure.

4 bytes  magic
u8       version of this header
u32      crc32 of everything after it
4 × (u16 length, UTF-8)  factory, model version, market version, row version
state
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from eros_common.ids import UserId
from eros_matcher.compute.program import BatchSpec

_MAGIC = b"EROC"
_VERSION = 1
_HEAD = struct.Struct("<4sBI")
_LENGTH = struct.Struct("<H")


class Verdict(Enum):
    """What becomes of a stored checkpoint; all but RESUMED are discarded and the work redone."""

    RESUMED = "resumed"
    TORN = "torn"
    FOREIGN = "foreign"
    """Another program's, or of another header version."""
    STALE = "stale"
    """Made under another model, market or input of the row."""


class TornCheckpointError(Exception):
    """The bytes are not a whole checkpoint."""


class ForeignCheckpointError(Exception):
    """The bytes are of another header version."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a state was computed under."""

    factory: str
    model_version: str
    market_version: str
    row_version: str

    @classmethod
    def of(cls, spec: BatchSpec, row: int) -> Stamp:
        return cls(spec.factory, spec.model_version, spec.market_version, spec.row_versions[row])


def encode(stamp: Stamp, state: bytes) -> bytes:
    """The checkpoint as it is stored."""
    texts = (stamp.factory, stamp.model_version, stamp.market_version, stamp.row_version)
    parts: list[bytes] = []
    for text in texts:
        data = text.encode()
        parts += (_LENGTH.pack(len(data)), data)
    parts.append(state)
    body = b"".join(parts)
    return _HEAD.pack(_MAGIC, _VERSION, zlib.crc32(body)) + body


def decode(stored: bytes) -> tuple[Stamp, bytes]:
    """Raises TornCheckpointError, ForeignCheckpointError."""
    if len(stored) < _HEAD.size or not stored.startswith(_MAGIC):
        raise TornCheckpointError
    _, version, checksum = _HEAD.unpack_from(stored)
    if version != _VERSION:
        raise ForeignCheckpointError
    body = stored[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise TornCheckpointError
    texts: list[str] = []
    at = 0
    for _ in range(4):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        texts.append(body[at : at + length].decode())
        at += length
    return Stamp(*texts), body[at:]


def resume(stored: bytes | None, stamp: Stamp) -> tuple[bytes | None, Verdict | None]:
    """The state to go on from under `stamp`, if any, and what was thought of `stored`."""
    if stored is None:
        return None, None
    try:
        made_under, state = decode(stored)
    except TornCheckpointError:
        return None, Verdict.TORN
    except ForeignCheckpointError:
        return None, Verdict.FOREIGN
    if made_under.factory != stamp.factory:
        return None, Verdict.FOREIGN
    if made_under != stamp:
        return None, Verdict.STALE
    return state, Verdict.RESUMED


def resume_all(
    stored: Mapping[UserId, bytes], users: Sequence[UserId], spec: BatchSpec
) -> tuple[dict[UserId, bytes], dict[Verdict, int]]:
    """`resume` for every row of a batch, `users` in their order: the states, and how many of each
    verdict. Reads all that is stored: a tenth of a second for a learner of a million people."""
    states: dict[UserId, bytes] = {}
    verdicts: dict[Verdict, int] = {}
    for row, user in enumerate(users):
        state, verdict = resume(stored.get(user), Stamp.of(spec, row))
        if state is not None and len(state) > spec.snapshot_bytes:
            state, verdict = None, Verdict.FOREIGN
        if verdict is not None:
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
        if state is not None:
            states[user] = state
    return states, verdicts
