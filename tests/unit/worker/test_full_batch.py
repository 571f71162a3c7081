"""A full batch of real matching, one of whose people wakes in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eros_matcher.compute.bells import Bell
from eros_matcher.compute.layout import RowStatus, StopReason
from eros_matcher.compute.pacing import Ledger, SnapshotRhythm
from eros_matcher.compute.program import BatchInput, BatchSpec, Progress
from eros_matcher.compute.region import ChildRegion, ParentRegion
from eros_matcher.compute.runner import BatchRun, cpu_seconds
from eros_matcher.features.model import encode
from eros_matcher.market import columns
from eros_matcher.market.market import Market
from eros_matcher.programs import match, payload
from eros_matcher.programs.match import MatchProgram
from tests.unit.matcher.crowd import MODEL, YEAR, Row, a_crowd, a_market

ROWS = 250
WOKEN = 117
WANTED = 60


class Watched(MatchProgram):
    """A unit a chunk; in the given chunk, while the child is at work, the person wakes."""

    def __init__(self, batch: BatchInput, parent: ParentRegion, woken_at: int | None) -> None:
        super().__init__(batch)
        self._parent = parent
        self._woken_at = woken_at
        self.chunks = 0
        self.state: bytes | None = None
        self.after: set[int] = set()

    def chunk(self, rows: Sequence[int], units: int) -> Progress:
        del units
        if self._woken_at is not None and self.chunks > self._woken_at:
            self.after.update(rows)
        if self.chunks == self._woken_at:
            self._parent.mask(WOKEN, StopReason.HALT)
            self.state = self._parent.slots[WOKEN].read().state
        self.chunks += 1
        return super().chunk(rows, 1)


def a_spec(directory: Path) -> BatchSpec:
    people = a_crowd(3000, seed=9)
    market: Market = a_market(people)
    columns.write(directory / "market", market.arrays(), {"since": 1})
    header = {
        "model": encode(MODEL).decode(),
        "model_version": 1,
        "market_version": "m1",
        "year": YEAR,
        "wanted": WANTED,
        "daily": 10,
        "spare": 0,
        "sample": None,
    }
    return BatchSpec(
        factory=match.FACTORY,
        payload=payload.pack(header, [Row(person).parts() for person in people[:ROWS]]),
        files=(directory / "market",),
        row_versions=("1",) * ROWS,
        snapshot_bytes=match.snapshot_bytes(WANTED, 0),
        result_bytes=match.RESULT_BYTES,
        model_version="1",
        market_version="m1",
    )


def run(
    spec: BatchSpec, woken_at: int | None, states: Sequence[bytes | None], masked: Sequence[int]
) -> tuple[Watched, ParentRegion]:
    parent = ParentRegion()
    parent.offer(spec, states, 1.0, masked)
    child = ChildRegion(parent.fd)
    child.open()
    file = memoryview(spec.files[0].read_bytes())
    program = Watched(BatchInput(ROWS, child.payload(), (file,)), parent, woken_at)
    BatchRun(
        program,
        child,
        Ledger(1.0, wall=0.0, cpu=cpu_seconds()),
        inbox=Bell.create(),
        outbox=Bell.create(),
        rhythm=SnapshotRhythm(share=1.0),
    ).run()
    return program, parent


def test_one_of_250_wakes_and_the_others_results_are_the_same_to_the_last_bit(
    tmp_path: Path,
) -> None:
    spec, fresh = a_spec(tmp_path), [None] * ROWS
    _, undisturbed = run(spec, None, fresh, ())
    expected = [undisturbed.outcome(row) for row in range(ROWS)]

    # In the middle of the walk through the market.
    program, parent = run(spec, 2, fresh, ())
    others = [row for row in range(ROWS) if row != WOKEN]
    # A few find nobody at all.
    assert len(set(expected)) > ROWS - 25
    assert parent.status(WOKEN) is RowStatus.LEFT
    assert WOKEN not in program.after
    assert len(program.after) > ROWS / 2
    assert {parent.status(row) for row in others} == {RowStatus.DONE}
    assert [parent.outcome(row) for row in others] == [expected[row] for row in others]

    states = [program.state if row == WOKEN else None for row in range(ROWS)]
    assert program.state is not None
    _, resumed = run(spec, None, states, others)
    assert resumed.outcome(WOKEN) == expected[WOKEN]
