"""A batch in the compute child: stops, resumes and fails row by row, to the last bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from eros_matcher.compute.bells import Bell
from eros_matcher.compute.layout import RowStatus, StopReason, Word
from eros_matcher.compute.pacing import Ledger, SnapshotRhythm
from eros_matcher.compute.program import BatchInput, BatchSpec, Progress, RowError
from eros_matcher.compute.region import ChildRegion, ParentRegion
from eros_matcher.compute.runner import BatchRun, cpu_seconds
from tests.unit.worker.matrix_program import MatrixProgram, matrix_spec

SPEC = matrix_spec(rows=6, columns=640, tile=64)
CHUNKS = 10

Hook = Callable[["OneTile", int, Sequence[int]], None]


class OneTile(MatrixProgram):
    """One tile a chunk; `before` is called with the number of the chunk and its rows."""

    def __init__(self, batch: BatchInput, before: Hook) -> None:
        super().__init__(batch)
        self._before = before
        self.chunks = 0

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        del units
        self._before(self, self.chunks, rows)
        self.chunks += 1
        return super().chunk(rows, 1)


@dataclass
class Bench:
    """Both sides of a region in this process."""

    parent: ParentRegion = field(default_factory=ParentRegion)
    inbox: Bell = field(default_factory=Bell.create)
    outbox: Bell = field(default_factory=Bell.create)

    def run(
        self,
        spec: BatchSpec,
        states: Sequence[bytes | None],
        before: Hook = lambda _program, _chunk, _rows: None,
        *,
        masked: Sequence[int] = (),
        kind: type[OneTile] = OneTile,
    ) -> OneTile:
        self.parent.offer(spec, states, 1.0, masked)
        child = ChildRegion(self.parent.fd)
        child.open()
        program = kind(BatchInput(spec.rows, child.payload(), ()), before)
        ledger = Ledger(1.0, wall=time.monotonic(), cpu=cpu_seconds())
        BatchRun(
            program,
            child,
            ledger,
            inbox=self.inbox,
            outbox=self.outbox,
            rhythm=SnapshotRhythm(share=1.0),
        ).run()
        return program

    def statuses(self, rows: int) -> list[RowStatus]:
        return [self.parent.status(row) for row in range(rows)]

    def results(self, rows: Sequence[int]) -> list[bytes]:
        assert all(self.parent.status(row) is RowStatus.DONE for row in rows)
        return [self.parent.outcome(row) for row in rows]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def undisturbed() -> list[bytes]:
    bench = Bench()
    bench.run(SPEC, [None] * SPEC.rows)
    return bench.results(range(SPEC.rows))


@pytest.mark.parametrize("halted_at", range(CHUNKS))
def test_halted_at_each_chunk_in_turn_all_bits_are_those_of_an_undisturbed_run(
    bench: Bench, undisturbed: list[bytes], halted_at: int
) -> None:
    woken = 2
    taken: list[bytes | None] = []
    later: list[tuple[int, ...]] = []

    def wake(_program: OneTile, chunk: int, rows: Sequence[int]) -> None:
        if chunk == halted_at:
            # What the parent does at T0, in the middle of a turn of the child.
            bench.parent.mask(woken, StopReason.HALT)
            taken.append(bench.parent.slots[woken].read().state)
        if chunk > halted_at:
            later.append(tuple(rows))

    bench.run(SPEC, [None] * SPEC.rows, wake)

    others = [row for row in range(SPEC.rows) if row != woken]
    assert bench.results(others) == [undisturbed[row] for row in others]
    assert all(woken not in rows for rows in later)
    last = halted_at == CHUNKS - 1
    assert bench.parent.status(woken) is (RowStatus.DONE if last else RowStatus.LEFT)

    resumed = bench.run(SPEC, [None, None, taken[0], None, None, None], masked=others)
    assert bench.results([woken]) == [undisturbed[woken]]
    assert resumed.chunks == CHUNKS - halted_at


def test_resumed_beside_fresh_rows_all_bits_are_the_same(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    states: dict[int, bytes | None] = {}

    def look(_program: OneTile, chunk: int, _rows: Sequence[int]) -> None:
        if chunk in {3, 7}:
            states[chunk] = bench.parent.slots[chunk % 6].read().state

    bench.run(SPEC, [None] * SPEC.rows, look)
    bench.run(SPEC, [None, states[7], None, states[3], None, None])
    assert bench.results(range(SPEC.rows)) == undisturbed


def test_a_row_that_raises_fails_alone(bench: Bench, undisturbed: list[bytes]) -> None:
    bench.run(matrix_spec(rows=6, columns=640, tile=64, raising_row=4), [None] * 6)
    others = [0, 1, 2, 3, 5]
    assert bench.results(others) == [undisturbed[row] for row in others]
    assert bench.parent.status(4) is RowStatus.FAILED
    assert bench.parent.outcome(4) == b"this row cannot be computed"


def test_the_guilty_row_is_found_when_a_chunk_raises_anything(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    def divide(_program: OneTile, chunk: int, rows: Sequence[int]) -> None:
        if chunk >= 4 and 1 in rows:
            raise ZeroDivisionError("row 1 has no length")

    bench.run(SPEC, [None] * 6, divide)
    others = [0, 2, 3, 4, 5]
    assert bench.results(others) == [undisturbed[row] for row in others]
    assert bench.parent.outcome(1) == b"ZeroDivisionError: row 1 has no length"


def test_a_chunk_that_raised_once_for_no_row_is_done_again(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    raised: list[int] = []

    def hiccup(_program: OneTile, chunk: int, _rows: Sequence[int]) -> None:
        if chunk == 4 and not raised:
            raised.append(chunk)
            raise MemoryError

    bench.run(SPEC, [None] * 6, hiccup)
    assert bench.results(range(6)) == undisturbed
    assert raised == [4]


def test_a_chunk_that_keeps_raising_for_no_row_fails_all(bench: Bench) -> None:
    def crowd(_program: OneTile, chunk: int, rows: Sequence[int]) -> None:
        if chunk > 2 and len(rows) > 1:
            raise OverflowError("too many at once")

    bench.run(SPEC, [None] * 6, crowd)
    assert set(bench.statuses(6)) == {RowStatus.FAILED}
    assert bench.parent.outcome(0) == b"OverflowError: too many at once"


def test_a_state_that_the_program_rejects_is_counted_and_redone(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    bench.run(SPEC, [b"short", *[None] * 5])
    assert bench.results(range(6)) == undisturbed
    assert bench.parent.word(Word.REJECTED) == 1


def test_a_program_that_does_nothing_fails_instead_of_spinning(bench: Bench) -> None:
    class Idle(OneTile):
        def chunk(self, rows: Sequence[int], units: int) -> Progress:
            del rows, units
            return Progress(0)

    bench.run(SPEC, [None] * 6, kind=Idle)
    assert set(bench.statuses(6)) == {RowStatus.FAILED}


def test_an_error_in_a_result_or_a_snapshot_fails_its_row_only(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    class Faulty(OneTile):
        def result(self, row: int) -> bytes:
            fine = super().result(row)
            return fine * 100 if row == 0 and self.chunks == CHUNKS else fine

        def snapshot(self, row: int) -> bytes:
            if row == 5 and self.chunks == 3:
                raise RowError(5, "no snapshot of this")
            return super().snapshot(row)

    bench.run(SPEC, [None] * 6, kind=Faulty)
    assert bench.results(range(1, 5)) == undisturbed[1:5]
    assert b"4000 bytes" in bench.parent.outcome(0)
    assert bench.parent.outcome(5) == b"no snapshot of this"


def test_stopping_all_rows_ends_the_batch_at_the_next_turn(bench: Bench) -> None:
    def abandon(_program: OneTile, chunk: int, _rows: Sequence[int]) -> None:
        if chunk == 2:
            bench.parent.stop_all(StopReason.ABANDON)

    program = bench.run(SPEC, [None] * 6, abandon)
    assert program.chunks == 3
    assert set(bench.statuses(6)) == {RowStatus.LEFT}


def test_between_turns_the_header_says_that_no_row_is_touched(bench: Bench) -> None:
    seen: list[int] = []
    bench.run(SPEC, [None] * 6, lambda *_: seen.append(bench.parent.word(Word.TURN) % 2))
    assert set(seen) == {1}
    assert bench.parent.word(Word.TURN) % 2 == 0
