"""What the compute child runs: a *program* computes one batch, row by row, in chunks.

A row is one person. The parent (`eros_matcher.worker`) describes a batch by a `BatchSpec`; the
child imports `BatchSpec.factory` and calls it once per batch with a `BatchInput`. Then

    program = factory(batch_input)
    for row in range(rows):
        program.load(row, checkpoint or None)
    while rows are alive:
        progress = program.chunk(alive rows, units)
        ... program.result(row) for each row in progress.finished
        ... program.drop(row) for each row that finished, failed or was halted
        ... program.snapshot(row) for the others, now and then
    program.close()

all in one thread. Nothing else calls a program, and a program calls nothing back.

Rules a program keeps, because halting, resuming and fault isolation are built on them:

**Units.** A chunk is `units` units of work for all the rows given. The child chooses `units` (≥ 1)
so that a chunk takes ≤ 10 ms and adapts it all the time; so one unit for a full batch should take
0.1 to 2 ms (say: one tile of candidates), whatever the row count. Doing fewer than asked is fine
(the last tile), `Progress.units` says how many; none with none finished fails the whole batch.

**Bits.** A row's result depends on its own input only: not on which other rows are alive, not on
`units`, not on where it was interrupted. Rows resumed from checkpoints stand elsewhere than
fresh ones: group rows by cursor and work on the group that is furthest behind, so that groups
merge. For NumPy's matrix product that means tiles with fixed bounds (multiples of the tile size
from the start of the candidates, never "from where I was"), and never a product with one row or
one column: BLAS then takes another kernel (gemv), whose sums differ in the last bit. Pad to two.
Products with 2 rows or more agree bit by bit for the same tile, whatever the number of rows.

**Raising.** When `chunk` raises `RowError`, that row fails and every other row is put back to its
last snapshot (`load`) and goes on. When it raises anything else, each row is put back and run alone
for one chunk; the ones that raise alone fail, each with its own message. So a chunk may leave
rows half-way when it raises; only never pretend that a failed row is fine.

**Snapshots.** `snapshot(row)` is all that is needed to go on: `load(row, snapshot)` in another
process, another batch, another row number gives the same bits in the end. At most
`BatchSpec.snapshot_bytes`. Cheap (a few µs): it is called for every row many times a second.
The model, market and row versions are added around it, and compared before `load`, by the worker.

**Nothing else.** No thread, lock, socket, clock or unseeded randomness; no file but `files`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class RowError(Exception):
    """Raised by `Program.load`, `chunk` or `result`: this row cannot be computed.

    Only that row fails (the attempt is counted, backs off and is retried by the scheduler).
    """

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row
        self.message = message


class CheckpointRejectedError(Exception):
    """Raised by `Program.load` for a state it cannot go on from; the row then starts afresh."""


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """A batch as the parent describes it; everything the child needs and nothing secret.

    `factory` is "package.module:name" of a `ProgramFactory`. `payload` is the program's own
    encoding of its input (at most 64 MiB; keep it small, what is large belongs in `files`).
    `files` are mapped read-only in the child, and stay mapped from batch to batch while path and
    inode are the same (replace files by rename, never in place). `row_versions` has one entry a
    row: the version of the row's own input (say, the revision of the profile); its length is the
    number of rows. A checkpoint is resumed only when factory, model, market and row version are
    all equal to those it was made under.
    """

    factory: str
    payload: bytes
    files: tuple[Path, ...]
    row_versions: tuple[str, ...]
    snapshot_bytes: int
    result_bytes: int
    model_version: str
    market_version: str

    @property
    def rows(self) -> int:
        return len(self.row_versions)


@dataclass(frozen=True, slots=True)
class BatchInput:
    """What a factory gets. The views are read-only and valid until `Program.close` returns."""

    rows: int
    payload: memoryview
    files: tuple[memoryview, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What one chunk did: units of work, and the rows that finished in it."""

    units: int
    finished: Sequence[int] = ()


class Program(Protocol):
    """One batch being computed. Row numbers are 0 … rows-1, as in the `BatchSpec`."""

    def load(self, row: int, state: bytes | None) -> None:
        """Put the row at its start, or where the snapshot `state` was taken.

        Called for every row before the first chunk, and again for a row that has to be put back.
        Raises `CheckpointRejectedError` when `state` is not one of its own, `RowError` when the
        row's input cannot be computed.
        """
        ...

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        """Do at most `units` units of work for `rows` (ascending, loaded, none finished)."""
        ...

    def snapshot(self, row: int) -> bytes:
        """State of a loaded, unfinished row; at most `BatchSpec.snapshot_bytes`."""
        ...

    def result(self, row: int) -> bytes:
        """Result of a finished row, called once; at most `BatchSpec.result_bytes`."""
        ...

    def drop(self, row: int) -> None:
        """Forget the row: finished, failed or halted. It is not given to `chunk` again."""
        ...

    def close(self) -> None:
        """Let go of the views of `BatchInput` (NumPy arrays over them included)."""
        ...


ProgramFactory = Callable[[BatchInput], Program]
"""Opens a program; must return within a few ms (a halt is looked at only afterwards)."""
