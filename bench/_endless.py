"""What the compute children of `bench.caps` run: they import this and nothing else of the bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from eros_matcher.compute.program import BatchInput, Progress

FACTORY: Final = "bench._endless:open_endless"
_TILE: Final = 256


class Endless:
    """A program that is never done: each unit a matrix product, each row a few bytes of state."""

    def __init__(self, batch: BatchInput) -> None:
        random = np.random.default_rng(1)
        self._left = random.random((batch.rows, 64), dtype=np.float32)
        self._right = random.random((64, _TILE), dtype=np.float32)
        self._done = 0

    def load(self, row: int, state: bytes | None) -> None:
        del row, state

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        for _ in range(units):
            self._left @ self._right
        self._done += units
        return Progress(units)

    def snapshot(self, row: int) -> bytes:
        return (self._done + row).to_bytes(8, "little")

    def result(self, row: int) -> bytes:
        raise AssertionError(f"row {row} is never done")

    def drop(self, row: int) -> None:
        del row

    def close(self) -> None:
        del self._left, self._right


def open_endless(batch: BatchInput) -> Endless:
    return Endless(batch)
