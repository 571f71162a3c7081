"""The memfd mapped: words, slots and byte ranges by the layout its header states."""

from __future__ import annotations

import mmap
import os

from eros_matcher.compute.layout import HEADER_WORDS, WORD, Layout, Word, aligned
from eros_matcher.compute.slots import Slot

_SMALLEST = HEADER_WORDS * WORD


class Mapping:
    """One mapping of the shared memory; base of both sides.

    The file only grows. A batch that needs more than is mapped maps the file anew; the old
    mapping lives until the last view of it is gone.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.layout = Layout(0, 0, 0, 0, 0)
        self.slots: tuple[Slot, ...] = ()
        self._map(_SMALLEST)

    def word(self, word: Word) -> int:
        return int(self._words[word])

    def _set(self, word: Word, value: int) -> None:
        self._words[word] = value

    def _map(self, size: int) -> None:
        self._file = mmap.mmap(self.fd, size)
        self._bytes = memoryview(self._file)
        self._words = self._bytes.cast("Q")

    def _adopt(self, layout: Layout) -> None:
        """Lay the batch out over the mapping, growing it when it is too small."""
        size = aligned(layout.size)
        if os.fstat(self.fd).st_size < size:
            os.ftruncate(self.fd, size)
        if len(self._bytes) < size:
            self._map(size)
        self.layout = layout
        self.slots = tuple(
            Slot(
                self._bytes,
                self._words,
                layout.slots_at + row * layout.slot_bytes,
                layout.snapshot_bytes,
            )
            for row in range(layout.rows)
        )

    def _stated_layout(self) -> Layout:
        return Layout(
            rows=self.word(Word.ROWS),
            snapshot_bytes=self.word(Word.SNAPSHOT_BYTES),
            outcome_bytes=self.word(Word.OUTCOME_BYTES),
            descriptor_bytes=self.word(Word.DESCRIPTOR_BYTES),
            payload_bytes=self.word(Word.PAYLOAD_BYTES),
        )

    def _outcome_at(self, row: int) -> int:
        return self.layout.outcomes_at + row * aligned(self.layout.outcome_bytes)

    def _mask_word(self, row: int) -> int:
        return self.layout.masks_at // WORD + row

    def _status_word(self, row: int) -> int:
        return self.layout.statuses_at // WORD + row

    def _size_word(self, row: int) -> int:
        return self.layout.outcome_sizes_at // WORD + row

    def _sum_word(self, row: int) -> int:
        return self.layout.outcome_sums_at // WORD + row
