"""Phase 1: what a profile says, as filters and a vector. One row, one profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eros_matcher.compute.program import BatchInput, Progress, RowError
from eros_matcher.features.analysis import analyzed
from eros_matcher.features.model import parse
from eros_matcher.programs.payload import Payload, pack_analyzed

FACTORY: Final = "eros_matcher.programs.analyze:open_analyze"
RESULT_BYTES: Final = 32 * 1024
SNAPSHOT_BYTES: Final = 1
_ROWS_A_UNIT: Final = 4
"""A row takes about a tenth of a millisecond."""


class AnalyzeProgram:
    """See `eros_matcher.compute.program.Program`. A row is done in one go: it has no state.

    The header has model (its body), model_version and year; a row has its profile and
    what was learned of the person beyond it.
    """

    def __init__(self, batch: BatchInput) -> None:
        self._payload = Payload(batch.payload, batch.rows)
        self._model = parse(self._payload.header["model"].encode())
        self._model_version: int = self._payload.header["model_version"]
        self._year: int = self._payload.header["year"]
        self._results: dict[int, bytes] = {}

    def load(self, row: int, state: bytes | None) -> None:
        """Nothing to prepare."""

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        now = rows[: units * _ROWS_A_UNIT]
        for row in now:
            data, leaning = self._payload.row(row)
            try:
                record = analyzed(bytes(data), self._model, self._year, bytes(leaning))
            except ValueError as error:
                raise RowError(row, str(error)) from error
            self._results[row] = pack_analyzed(self._model_version, record)
        return Progress(-(-len(now) // _ROWS_A_UNIT), now)

    def snapshot(self, row: int) -> bytes:
        return b""

    def result(self, row: int) -> bytes:
        return self._results.pop(row)

    def drop(self, row: int) -> None:
        self._results.pop(row, None)

    def close(self) -> None:
        self._payload.close()


def open_analyze(batch: BatchInput) -> AnalyzeProgram:
    """The factory."""
    return AnalyzeProgram(batch)
