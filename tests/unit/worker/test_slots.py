"""A snapshot in shared memory is whole or refused, whenever its writer dies or writes again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_matcher.compute.layout import Layout
from eros_matcher.compute.region import ChildRegion, ParentRegion
from eros_matcher.compute.slots import Slot, TornSnapshotError
from tests.unit.worker.matrix_program import matrix_spec

CAPACITY = 40
STATES = st.one_of(st.none(), st.binary(max_size=CAPACITY))


class WriterDiedError(Exception):
    pass


class Dying:
    """Memory that takes `budget` more stores and then kills its writer."""

    def __init__(self, view: memoryview, budget: Iterator[int]) -> None:
        self._view = view
        self._budget = budget

    def __getitem__(self, key: Any) -> Any:
        return self._view[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if next(self._budget, None) is None:
            raise WriterDiedError
        self._view[key] = value


def fresh() -> tuple[memoryview, Slot]:
    memory = memoryview(bytearray(Layout(1, CAPACITY, 0, 0, 0).slot_bytes))
    slot = Slot(memory, memory.cast("Q"), 0, CAPACITY)
    slot.reset(None)
    return memory, slot


@given(st.lists(STATES, max_size=8))
def test_the_last_state_written_is_read(states: list[bytes | None]) -> None:
    _, slot = fresh()
    assert slot.read().state is None
    for generation, state in enumerate(states, start=1):
        slot.write(state)
        snapshot = slot.read()
        assert (snapshot.generation, snapshot.state) == (generation, state)


@given(st.lists(STATES, min_size=1, max_size=4), STATES, st.integers(0, 5))
def test_a_writer_that_dies_leaves_the_last_whole_state(
    states: list[bytes | None], lost: bytes | None, stores: int
) -> None:
    memory, slot = fresh()
    for state in states:
        slot.write(state)
    budget = iter(range(stores))
    dying: Any = Dying(memory, budget)
    dying_words: Any = Dying(memory.cast("Q"), budget)
    with pytest.raises(WriterDiedError):
        Slot(dying, dying_words, 0, CAPACITY).write(lost)

    assert slot.read().state == states[-1]
    slot.write(b"the next writer goes on")
    assert slot.read().state == b"the next writer goes on"


@given(st.binary(min_size=1, max_size=CAPACITY), st.data())
def test_damage_is_never_taken_for_a_state(state: bytes, data: st.DataObject) -> None:
    memory, slot = fresh()
    slot.write(b"old")
    slot.write(state)
    at = data.draw(st.integers(8, len(memory) - 1))
    memory[at] ^= data.draw(st.integers(1, 255))
    try:
        assert slot.read().state in {state, b"old"}
    except TornSnapshotError:
        pytest.fail("one damaged byte cannot have hit both buffers")


def test_memory_damaged_all_over_is_refused() -> None:
    memory, slot = fresh()
    slot.write(b"state")
    memory[8:] = b"\xa5" * (len(memory) - 8)
    with pytest.raises(TornSnapshotError):
        slot.read()


def test_a_state_beyond_the_capacity_is_refused_and_the_last_one_stays() -> None:
    _, slot = fresh()
    slot.write(b"fits")
    with pytest.raises(ValueError, match="41 bytes"):
        slot.write(b"x" * (CAPACITY + 1))
    assert slot.read().state == b"fits"


WRITER = """
import sys
from eros_matcher.compute.region import ChildRegion
region = ChildRegion(int(sys.argv[1]))
region.open()
number = 0
while True:
    number += 1
    region.slots[0].write(number.to_bytes(8, "little") * (3 + number % 3))
"""


def test_reads_beside_a_racing_writer_are_whole_and_in_order() -> None:
    region = ParentRegion()
    region.offer(matrix_spec(rows=1, columns=4), [None], 1.0)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(region.fd)], pass_fds=[region.fd])
    try:
        last = reads = torn = 0
        while last < 30_000:
            assert writer.poll() is None
            try:
                state = region.slots[0].read().state
            except TornSnapshotError:
                # A writer this fast may outrun all tries; never does it get a wrong answer.
                torn += 1
                continue
            if state is None:
                continue
            number = int.from_bytes(state[:8], "little")
            assert state == state[:8] * (3 + number % 3)
            assert number >= last
            last, reads = number, reads + 1
        assert reads > torn
    finally:
        writer.kill()
        writer.wait()


def test_both_sides_see_one_batch() -> None:
    parent = ParentRegion()
    spec = matrix_spec(rows=3, columns=50_000)
    number = parent.offer(spec, [None, b"half way", None], 0.15)
    child = ChildRegion(parent.fd)
    described = child.open()
    assert (described.factory, described.files) == (spec.factory, ())
    assert bytes(child.payload()) == spec.payload
    assert [slot.read().state for slot in child.slots] == [None, b"half way", None]
    assert number == 1
