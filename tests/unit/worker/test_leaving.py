"""A masked row has left once no turn that may not have seen the mask is under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from eros_matcher.compute.layout import RowStatus, Word
from eros_matcher.compute.region import ChildRegion, ParentRegion
from eros_matcher.worker.leaving import LEAVE_SECONDS, LeftWatch
from tests.unit.worker.matrix_program import matrix_spec


@dataclass
class Bench:
    """The child's side is played by the test."""

    parent: ParentRegion
    child: ChildRegion
    left: asyncio.Queue[tuple[int, ...]] = field(default_factory=asyncio.Queue)
    overstayed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.watch = LeftWatch(
            self.parent, on_left=self.left.put_nowait, on_overstay=self.overstayed.set
        )

    def turn(self, number: int) -> None:
        self.child.publish(Word.TURN, number)

    async def first(self) -> str:
        """What comes first."""
        left = asyncio.create_task(self.left.get())
        over = asyncio.create_task(self.overstayed.wait())
        done, pending = await asyncio.wait({left, over}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return "left" if left in done else "overstayed"


@pytest.fixture
async def bench() -> Bench:
    parent = ParentRegion()
    parent.offer(matrix_spec(rows=3, columns=4), [None] * 3, 1.0)
    child = ChildRegion(parent.fd)
    child.open()
    return Bench(parent, child)


async def test_a_child_between_turns_need_not_say_anything(bench: Bench) -> None:
    bench.turn(8)
    bench.watch.add([1])
    assert await bench.left.get() == (1,)


async def test_a_turn_that_ends_takes_the_row_along_even_if_the_next_has_begun(
    bench: Bench,
) -> None:
    bench.turn(9)
    loop = asyncio.get_running_loop()
    began = loop.time()
    bench.watch.add([0, 2])
    loop.call_later(0.030, bench.turn, 11)
    assert await bench.left.get() == (0, 2)
    assert loop.time() - began >= 0.030


async def test_the_childs_own_word_counts_within_a_turn(bench: Bench) -> None:
    bench.turn(9)
    bench.watch.add([1])
    bench.child.set_status(1, RowStatus.LEFT)
    bench.watch.look()
    assert bench.left.get_nowait() == (1,)


async def test_a_turn_that_does_not_end_is_said_after_the_time_and_not_before(
    bench: Bench,
) -> None:
    bench.turn(9)
    loop = asyncio.get_running_loop()
    began = loop.time()
    bench.watch.add([1])
    assert await bench.first() == "overstayed"
    assert loop.time() - began >= LEAVE_SECONDS
    assert bench.left.empty()


async def test_a_mask_is_given_the_time_to_be_seen(bench: Bench) -> None:
    bench.turn(8)
    bench.watch.add([1])
    bench.watch.look()
    assert bench.left.empty()


async def test_what_is_forgotten_is_not_reported(bench: Bench) -> None:
    bench.turn(8)
    bench.watch.add([1])
    bench.watch.forget()
    bench.watch.add([2])
    assert await bench.left.get() == (2,)
    assert bench.left.empty()
