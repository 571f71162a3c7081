"""A real program for tests: each row's best columns of a chunked matrix product.

Written as a program should be: fixed tiles, groups by cursor, and sums whose order does not depend
on who else is in the group (a BLAS product is no such sum).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eros_matcher.compute.program import (
    BatchInput,
    BatchSpec,
    CheckpointRejectedError,
    Progress,
    RowError,
)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

TOP = 5
_HEAD = struct.Struct("<5I")
_STATE_HEAD = struct.Struct("<I")
STATE_BYTES = _STATE_HEAD.size + TOP * 8
RESULT_BYTES = TOP * 8


def matrix_spec(
    *,
    rows: int,
    columns: int,
    width: int = 16,
    tile: int = 64,
    seed: int = 1,
    raising_row: int | None = None,
    factory: str = "tests.unit.worker.matrix_program:open_matrix",
) -> BatchSpec:
    """A batch of seeded random vectors; `raising_row` fails in its second tile."""
    rng = np.random.default_rng(seed)
    left = rng.standard_normal((rows, width), dtype=np.float32)
    right = rng.standard_normal((columns, width), dtype=np.float32)
    raising = 0 if raising_row is None else raising_row + 1
    head = _HEAD.pack(rows, columns, width, tile, raising)
    return BatchSpec(
        factory=factory,
        payload=head + left.tobytes() + right.tobytes(),
        files=(),
        row_versions=tuple(f"r{row}" for row in range(rows)),
        snapshot_bytes=STATE_BYTES,
        result_bytes=RESULT_BYTES,
        model_version="model-1",
        market_version="market-1",
    )


class MatrixProgram:
    """Top columns of `left @ right.T` for each row, a tile of columns at a time."""

    def __init__(self, batch: BatchInput) -> None:
        rows, columns, width, self._tile, self._raising = _HEAD.unpack_from(batch.payload)
        values = np.frombuffer(batch.payload, dtype=np.float32, offset=_HEAD.size)
        self._left: Floats = values[: rows * width].reshape(rows, width)
        self._right: Floats = values[rows * width :].reshape(columns, width)
        self._columns: int = columns
        self._cursor = np.zeros(rows, dtype=np.int64)
        self._scores: Floats = np.full((rows, TOP), -np.inf, dtype=np.float32)
        self._ids: Ints = np.full((rows, TOP), -1, dtype=np.int32)

    def load(self, row: int, state: bytes | None) -> None:
        self._cursor[row] = 0
        self._scores[row] = -np.inf
        self._ids[row] = -1
        if state is None:
            return
        if len(state) != STATE_BYTES:
            raise CheckpointRejectedError(f"{len(state)} bytes")
        (self._cursor[row],) = _STATE_HEAD.unpack_from(state)
        half = _STATE_HEAD.size + TOP * 4
        self._scores[row] = np.frombuffer(state[_STATE_HEAD.size : half], dtype=np.float32)
        self._ids[row] = np.frombuffer(state[half:], dtype=np.int32)

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        finished: list[int] = []
        alive = np.asarray(rows)
        done = 0
        while done < units and len(alive):
            cursors = self._cursor[alive]
            start = int(cursors.min())
            group = alive[cursors == start]
            stop = min(start + self._tile, self._columns)
            self._step(group, start, stop)
            done += 1
            if stop == self._columns:
                finished.extend(int(row) for row in group)
                alive = alive[self._cursor[alive] < self._columns]
        return Progress(done, finished)

    def _step(self, group: npt.NDArray[np.int64], start: int, stop: int) -> None:
        if start > 0 and self._raising - 1 in group:
            raise RowError(self._raising - 1, "this row cannot be computed")
        block = (self._left[group, None, :] * self._right[start:stop]).sum(axis=2)
        scores = np.concatenate([self._scores[group], block], axis=1)
        columns = np.broadcast_to(np.arange(start, stop, dtype=np.int32), block.shape)
        ids = np.concatenate([self._ids[group], columns], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        self._scores[group] = np.take_along_axis(scores, best, axis=1)
        self._ids[group] = np.take_along_axis(ids, best, axis=1)
        self._cursor[group] = stop

    def snapshot(self, row: int) -> bytes:
        return _STATE_HEAD.pack(self._cursor[row]) + self.result(row)

    def result(self, row: int) -> bytes:
        return bytes(self._scores[row].tobytes() + self._ids[row].tobytes())

    def drop(self, row: int) -> None:
        self._cursor[row] = self._columns

    def close(self) -> None:
        empty = np.empty((0, 0), dtype=np.float32)
        self._left, self._right = empty, empty


def open_matrix(batch: BatchInput) -> MatrixProgram:
    return MatrixProgram(batch)


class SmallSteps(MatrixProgram):
    """Two tiles a chunk at most, so that a batch has many chunks on any machine."""

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        return super().chunk(rows, min(units, 2))


def open_small_steps(batch: BatchInput) -> SmallSteps:
    return SmallSteps(batch)
