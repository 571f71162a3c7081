"""Where things lie in the shared memory of a worker and its compute child.

One memfd, written by both sides, every word by one side only:

    header   512 words; `Word` says what and who
    error    text of a batch that could not be opened (child)
    rows     masks (parent), statuses, outcome sizes, outcome checksums (child): a word each a row
    slots    a double-buffered snapshot a row (`slots.py`; the child while a batch runs)
    outcomes result or error text a row (child)
    input    descriptor (JSON) and payload (parent)

Words are 8 bytes, aligned and native, so that each is read and written whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

MAGIC = 0x4552_4F53_434F_4D50
VERSION = 1

WORD = 8
HEADER_WORDS = 512
ERROR_BYTES = 2048
OUTCOME_MIN_BYTES = 512
PAYLOAD_MAX_BYTES = 64 << 20
ROWS_MAX = 4096


class Word(IntEnum):
    """Header words. Below 64 the parent writes, from 64 the child."""

    MAGIC = 0
    VERSION = 1
    BATCH = 2  # number of the batch on offer; written last
    STOP = 3  # a StopReason for every row
    CAP_PPM = 4  # share of one core, parts per million
    OPENING_DEBT_NS = 5  # CPU time a killed child took beyond its cap
    ROWS = 8
    SNAPSHOT_BYTES = 9
    OUTCOME_BYTES = 10
    DESCRIPTOR_BYTES = 11
    PAYLOAD_BYTES = 12

    PID = 64
    OPENED = 65  # number of the batch last opened
    CLOSED = 66  # number of the batch last closed
    TURN = 67  # odd while rows may be touched, even while none is
    CHUNKS = 68
    CPU_NS = 69  # process CPU time
    BEAT_NS = 70  # monotonic clock
    DEBT_NS = 71  # CPU time taken beyond the cap
    UNITS = 72  # units a chunk
    REJECTED = 73  # checkpoints the program rejected, of this batch
    ERROR_BYTES = 74
    CHUNK_MAX_NS = 75  # longest chunk of this batch, wall


class StopReason(IntEnum):
    """What the parent tells a row, or all of them; anything but GO_ON makes it leave."""

    GO_ON = 0
    HALT = 1
    DRAIN = 2
    ABANDON = 3


class RowStatus(IntEnum):
    """How a row stands, said by the child. From LEFT on it is out of the computation."""

    WAITING = 0
    RUNNING = 1
    LEFT = 2
    DONE = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one batch's memory, and the offsets (bytes) that follow from them."""

    rows: int
    snapshot_bytes: int
    outcome_bytes: int
    descriptor_bytes: int
    payload_bytes: int

    @property
    def error_at(self) -> int:
        return HEADER_WORDS * WORD

    @property
    def masks_at(self) -> int:
        return self.error_at + ERROR_BYTES

    @property
    def statuses_at(self) -> int:
        return self.masks_at + self.rows * WORD

    @property
    def outcome_sizes_at(self) -> int:
        return self.statuses_at + self.rows * WORD

    @property
    def outcome_sums_at(self) -> int:
        return self.outcome_sizes_at + self.rows * WORD

    @property
    def slots_at(self) -> int:
        return self.outcome_sums_at + self.rows * WORD

    @property
    def slot_bytes(self) -> int:
        """A sequence word, then two buffers of a head (3 words) and a snapshot."""
        return WORD + 2 * self.buffer_bytes

    @property
    def buffer_bytes(self) -> int:
        return 3 * WORD + aligned(self.snapshot_bytes)

    @property
    def outcomes_at(self) -> int:
        return self.slots_at + self.rows * self.slot_bytes

    @property
    def descriptor_at(self) -> int:
        return self.outcomes_at + self.rows * aligned(self.outcome_bytes)

    @property
    def payload_at(self) -> int:
        """On a 64-byte boundary, so that arrays over the payload are aligned."""
        return -(-(self.descriptor_at + self.descriptor_bytes) // 64) * 64

    @property
    def size(self) -> int:
        return aligned(self.payload_at + self.payload_bytes)


def aligned(size: int) -> int:
    """`size` rounded up to whole words."""
    return -(-size // WORD) * WORD
