"""After `match`: what the assistant will need of a person. One row, one person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eros_advice.prepared import decode_input, encode, prepare
from eros_matcher.compute.program import BatchInput, Progress, RowError
from eros_matcher.programs.payload import Payload

FACTORY: Final = "eros_matcher.programs.prepare:open_prepare"
RESULT_BYTES: Final = 32 * 1024
SNAPSHOT_BYTES: Final = 1


class PrepareProgram:
    """See `eros_matcher.compute.program.Program`. A row takes a millisecond, so it has no state."""

    def __init__(self, batch: BatchInput) -> None:
        self._payload = Payload(batch.payload, batch.rows)
        self._results: dict[int, bytes] = {}

    def load(self, row: int, state: bytes | None) -> None:
        """Nothing to prepare."""

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        now = rows[:units]
        for row in now:
            (data,) = self._payload.row(row)
            try:
                own, others = decode_input(bytes(data))
            except ValueError as error:
                raise RowError(row, f"unreadable input: {error}") from error
            self._results[row] = encode(prepare(own, others))
        return Progress(len(now), now)

    def snapshot(self, row: int) -> bytes:
        return b""

    def result(self, row: int) -> bytes:
        return self._results.pop(row)

    def drop(self, row: int) -> None:
        self._results.pop(row, None)

    def close(self) -> None:
        self._payload.close()


def open_prepare(batch: BatchInput) -> PrepareProgram:
    """The factory."""
    return PrepareProgram(batch)
