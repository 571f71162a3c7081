"""A row's snapshot in shared memory: single-writer seqlock, two buffers, checksummed.

    word 0        sequence: even 2g when generation g is complete, odd while g+1 is being written
    buffer g & 1  words: length (or NONE), checksum, generation; then the state

A writer that dies at any instant leaves the last complete generation readable: it only ever
writes into the other buffer. A reader on another core sees either a complete generation or a
checksum that does not match (it covers generation and length), and reads again.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from eros_matcher.compute.layout import WORD, aligned

NONE = (1 << 64) - 1
READ_TRIES = 16
_HEAD = struct.Struct("=QQ")


class TornSnapshotError(Exception):
    """No complete snapshot could be read: the memory is damaged."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`state` is None when the row stands at its start."""

    generation: int
    state: bytes | None


def _checksum(generation: int, length: int, state: bytes) -> int:
    return zlib.crc32(state, zlib.crc32(_HEAD.pack(generation, length)))


class Slot:
    """One row's slot over `memory` (bytes) and `words` (the same memory as native words)."""

    __slots__ = ("_at", "_buffer_bytes", "_capacity", "_memory", "_words")

    def __init__(self, memory: memoryview, words: memoryview, at: int, capacity: int) -> None:
        self._memory = memory
        self._words = words
        self._at = at
        self._capacity = capacity
        self._buffer_bytes = 3 * WORD + aligned(capacity)

    def reset(self, state: bytes | None) -> None:
        """Start anew with `state` as generation 0; only while nobody reads or writes."""
        self._words[self._at // WORD] = 0
        self._store(0, state)

    def write(self, state: bytes | None) -> None:
        """Publish the next generation. Raises ValueError when `state` is too long."""
        word = self._at // WORD
        generation = self._words[word] // 2 + 1
        self._words[word] = 2 * generation - 1
        self._store(generation, state)
        self._words[word] = 2 * generation

    def read(self) -> Snapshot:
        """The last complete generation. Raises TornSnapshotError."""
        word = self._at // WORD
        for _ in range(READ_TRIES):
            generation = self._words[word] // 2
            snapshot = self._load(generation)
            if snapshot is not None:
                return snapshot
        previous = self._load(self._words[word] // 2 - 1)
        if previous is None:
            raise TornSnapshotError
        return previous

    def _store(self, generation: int, state: bytes | None) -> None:
        data = state or b""
        if len(data) > self._capacity:
            raise ValueError(f"a snapshot of {len(data)} bytes, {self._capacity} allowed")
        length = NONE if state is None else len(data)
        at = self._at + WORD + (generation & 1) * self._buffer_bytes
        body = at + 3 * WORD
        self._memory[body : body + len(data)] = data
        head = at // WORD
        self._words[head] = length
        self._words[head + 1] = _checksum(generation, length, data)
        self._words[head + 2] = generation

    def _load(self, generation: int) -> Snapshot | None:
        if generation < 0:
            return None
        at = self._at + WORD + (generation & 1) * self._buffer_bytes
        head = at // WORD
        length = self._words[head]
        size = 0 if length == NONE else length
        if size > self._capacity:
            return None
        body = at + 3 * WORD
        data = bytes(self._memory[body : body + size])
        if self._words[head + 2] != generation:
            return None
        if self._words[head + 1] != _checksum(generation, length, data):
            return None
        return Snapshot(generation, None if length == NONE else data)
