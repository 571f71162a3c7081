"""The two sides of the shared memory: what the parent writes and what the child writes."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eros_matcher.compute.layout import (
    ERROR_BYTES,
    HEADER_WORDS,
    MAGIC,
    OUTCOME_MIN_BYTES,
    PAYLOAD_MAX_BYTES,
    ROWS_MAX,
    VERSION,
    WORD,
    Layout,
    RowStatus,
    StopReason,
    Word,
)
from eros_matcher.compute.mapping import Mapping
from eros_matcher.compute.program import BatchSpec


class TornOutcomeError(Exception):
    """A row's result does not match its checksum."""


class LayoutMismatchError(Exception):
    """The memory was laid out by another version of this code."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where the child finds the program and its files."""

    factory: str
    files: tuple[Path, ...]


class ParentRegion(Mapping):
    """The parent's side: offers batches, masks rows, reads snapshots and outcomes."""

    def __init__(self) -> None:
        fd = os.memfd_create("eros-compute", os.MFD_CLOEXEC)
        os.ftruncate(fd, HEADER_WORDS * WORD)
        super().__init__(fd)
        self._set(Word.MAGIC, MAGIC)
        self._set(Word.VERSION, VERSION)

    def offer(
        self,
        spec: BatchSpec,
        states: Sequence[bytes | None],
        cap: float,
        masked: Sequence[int] = (),
    ) -> int:
        """Lay a batch out; only while no batch is open. Returns the batch's number.

        `states` are the rows' checkpoints (without header), None for a start from scratch; `cap`
        is a share of one core. Raises ValueError for a batch beyond the limits.
        """
        if not 0 < cap <= 1:
            raise ValueError(f"a cap of {cap} of a core")
        if not 0 < spec.rows <= ROWS_MAX or len(states) != spec.rows:
            raise ValueError(f"{spec.rows} rows and {len(states)} states; 1 to {ROWS_MAX} allowed")
        if len(spec.payload) > PAYLOAD_MAX_BYTES:
            raise ValueError(f"a payload of {len(spec.payload)} bytes")
        descriptor = json.dumps(
            {"factory": spec.factory, "files": [os.fspath(path) for path in spec.files]}
        ).encode()
        layout = Layout(
            rows=spec.rows,
            snapshot_bytes=spec.snapshot_bytes,
            outcome_bytes=max(spec.result_bytes, OUTCOME_MIN_BYTES),
            descriptor_bytes=len(descriptor),
            payload_bytes=len(spec.payload),
        )
        self._adopt(layout)
        for word, value in (
            (Word.ROWS, layout.rows),
            (Word.SNAPSHOT_BYTES, layout.snapshot_bytes),
            (Word.OUTCOME_BYTES, layout.outcome_bytes),
            (Word.DESCRIPTOR_BYTES, layout.descriptor_bytes),
            (Word.PAYLOAD_BYTES, layout.payload_bytes),
            (Word.STOP, StopReason.GO_ON),
            (Word.CAP_PPM, round(cap * 1e6)),
        ):
            self._set(word, value)
        self._bytes[layout.masks_at : layout.slots_at] = bytes(layout.slots_at - layout.masks_at)
        for row in masked:
            self.mask(row, StopReason.HALT)
        for slot, state in zip(self.slots, states, strict=True):
            slot.reset(state)
        at = layout.descriptor_at
        self._bytes[at : at + len(descriptor)] = descriptor
        self._bytes[layout.payload_at : layout.payload_at + len(spec.payload)] = spec.payload
        number = self.word(Word.BATCH) + 1
        self._set(Word.BATCH, number)
        return number

    def mask(self, row: int, reason: StopReason) -> None:
        self._words[self._mask_word(row)] = reason

    def stop_all(self, reason: StopReason) -> None:
        self._set(Word.STOP, reason)

    def forget_child(self, now_ns: int, *, debt_ns: int) -> None:
        """Reset what a dead child said of itself; only while there is none."""
        self._set(Word.OPENING_DEBT_NS, debt_ns)
        self._set(Word.DEBT_NS, debt_ns)
        self._set(Word.CPU_NS, 0)
        self._set(Word.BEAT_NS, now_ns)
        # It may have died within a turn.
        self._set(Word.TURN, self.word(Word.TURN) + self.word(Word.TURN) % 2)

    def status(self, row: int) -> RowStatus:
        return RowStatus(self._words[self._status_word(row)])

    def outcome(self, row: int) -> bytes:
        """Result of a DONE row, error text (UTF-8) of a FAILED one. Raises TornOutcomeError."""
        at, size = self._outcome_at(row), self._words[self._size_word(row)]
        data = bytes(self._bytes[at : at + min(size, self.layout.outcome_bytes)])
        if len(data) != size or self._words[self._sum_word(row)] != zlib.crc32(data):
            raise TornOutcomeError(f"row {row}")
        return data

    def error(self) -> str:
        """Why the batch could not be opened or run; empty when it could."""
        at = self.layout.error_at
        data = bytes(self._bytes[at : at + min(self.word(Word.ERROR_BYTES), ERROR_BYTES)])
        return data.decode(errors="replace")


class ChildRegion(Mapping):
    """The child's side: reads the batch and the masks, publishes everything else."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        if (self.word(Word.MAGIC), self.word(Word.VERSION)) != (MAGIC, VERSION):
            raise LayoutMismatchError

    def publish(self, word: Word, value: int) -> None:
        self._set(word, value)

    def open(self) -> Descriptor:
        """Adopt the batch on offer."""
        self._adopt(self._stated_layout())
        at = self.layout.descriptor_at
        described = json.loads(bytes(self._bytes[at : at + self.layout.descriptor_bytes]))
        return Descriptor(described["factory"], tuple(map(Path, described["files"])))

    def payload(self) -> memoryview:
        at = self.layout.payload_at
        return self._bytes[at : at + self.layout.payload_bytes].toreadonly()

    def stop_reason(self, row: int) -> StopReason:
        return StopReason(self.word(Word.STOP) or self._words[self._mask_word(row)])

    def status(self, row: int) -> RowStatus:
        return RowStatus(self._words[self._status_word(row)])

    def set_status(self, row: int, status: RowStatus) -> None:
        self._words[self._status_word(row)] = status

    def set_outcome(self, row: int, status: RowStatus, data: bytes) -> None:
        """Publish a result or an error text. Raises ValueError when it is too long."""
        if len(data) > self.layout.outcome_bytes:
            raise ValueError(f"a result of {len(data)} bytes, {self.layout.outcome_bytes} allowed")
        at = self._outcome_at(row)
        self._bytes[at : at + len(data)] = data
        self._words[self._sum_word(row)] = zlib.crc32(data)
        self._words[self._size_word(row)] = len(data)
        self._words[self._status_word(row)] = status

    def set_error(self, text: str) -> None:
        data = text.encode()[:ERROR_BYTES]
        at = self.layout.error_at
        self._bytes[at : at + len(data)] = data
        self._set(Word.ERROR_BYTES, len(data))
