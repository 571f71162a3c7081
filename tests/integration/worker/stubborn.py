"""A program that does not come back while a certain row is in it: one long BLAS call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from eros_matcher.apart import share
from eros_matcher.compute.layout import Word
from eros_matcher.compute.program import BatchInput, Progress
from eros_matcher.compute.region import ParentRegion
from eros_matcher.worker.child import process_cpu_seconds
from tests.unit.worker.matrix_program import SmallSteps

FACTORY = "tests.integration.worker.stubborn:open_stubborn"
STUBBORN_ROW = 1
_FROM_CHUNK = 20
_SIDE = 5200
"""2 × 5200³ operations: about 5 s of one core, in one call."""


class StubbornProgram(SmallSteps):
    def __init__(self, batch: BatchInput) -> None:
        super().__init__(batch)
        self._chunks = 0

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        self._chunks += 1
        if self._chunks > _FROM_CHUNK and STUBBORN_ROW in rows:
            square = np.ones((_SIDE, _SIDE), dtype=np.float32)
            np.matmul(square, square, out=square)
        return super().chunk(rows, units)


async def until_stuck(region: ParentRegion, pid: int) -> None:
    """Until the child has been in one turn for longer than any chunk takes, by its own CPU: that of
    a busy machine it may not get, and of a very busy one it would get next to none."""
    share(pid, 0)
    while True:
        turn, cpu = region.word(Word.TURN), process_cpu_seconds(pid)
        while region.word(Word.TURN) == turn:
            await asyncio.sleep(0.02)
            if turn % 2 and process_cpu_seconds(pid) - cpu > 0.05:
                return


def open_stubborn(batch: BatchInput) -> StubbornProgram:
    return StubbornProgram(batch)
