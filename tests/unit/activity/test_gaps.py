"""Lost access-log entries are told from late ones by their numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_activity.domain.gaps import Missing, Numbers

GRACE = 1.0


@dataclass(frozen=True)
class Case:
    """Numbers as (number, second of arrival); what is given up at which second."""

    name: str
    arrivals: list[tuple[int, float]]
    at: float
    lost: list[tuple[int, int]]
    settled: int
    began_after: int = 0


CASES = [
    Case("in order", [(1, 0), (2, 0), (3, 5)], 9, [], 3),
    Case("nothing yet", [], 9, [], 0),
    Case("one lost", [(1, 0), (3, 0)], 1.0, [(2, 2)], 3),
    Case("one late, not lost yet", [(1, 0), (3, 0)], 0.9, [], 1),
    Case("one late, arrived", [(1, 0), (3, 0), (2, 0.5)], 9, [], 3),
    Case("the first ones lost", [(4, 0)], 1.0, [(1, 3)], 4),
    Case("another replica had the first ones", [(4, 0)], 9, [], 4, began_after=3),
    Case("that replica had some of them", [(4, 0)], 1.0, [(3, 3)], 4, began_after=2),
    Case("part of a gap late", [(1, 0), (6, 0), (3, 0.5)], 1.0, [(2, 2), (4, 5)], 6),
    Case("edges of a gap late", [(1, 0), (6, 0), (2, 0.2), (5, 0.2)], 1.0, [(3, 4)], 6),
    Case("two gaps, one overdue", [(2, 0), (4, 0.5)], 1.0, [(1, 1)], 2),
    Case("twice the same", [(1, 0), (2, 0), (2, 0), (1, 0)], 9, [], 2),
    Case("late beyond the grace, and given up", [(1, 0), (3, 0), (2, 5)], 9, [], 3),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gaps(case: Case) -> None:
    numbers = Numbers(case.began_after)
    for number, second in case.arrivals:
        numbers.observe(number, second)
    assert numbers.overdue(case.at, GRACE) == bool(case.lost)
    lost = numbers.give_up(case.at, GRACE)
    assert [(missing.first, missing.last) for missing in lost] == case.lost
    assert numbers.settled == case.settled
    assert not numbers.overdue(case.at, GRACE)


def test_a_gap_counts_and_knows_since_when() -> None:
    numbers = Numbers()
    numbers.observe(5, 7.0)
    [missing] = numbers.give_up(9.0, GRACE)
    assert missing == Missing(1, 4, 7.0)
    assert missing.count == 4


def test_what_another_reader_had_is_not_missing() -> None:
    numbers = Numbers(10)
    numbers.observe(15, 0.0)
    numbers.settle(12)
    assert numbers.give_up(1.0, GRACE) == [Missing(13, 14, 0.0)]
    numbers.settle(20)
    numbers.observe(21, 2.0)
    assert not numbers.overdue(99.0, GRACE)
    assert numbers.settled == 21


@given(
    count=st.integers(1, 40),
    lost=st.sets(st.integers(1, 39)),
    order=st.randoms(use_true_random=False),
)
def test_whatever_the_order_exactly_the_lost_are_missing(
    count: int, lost: set[int], order: object
) -> None:
    arriving = [n for n in range(1, count + 1) if n not in lost]
    order.shuffle(arriving)  # type: ignore[attr-defined]
    numbers = Numbers()
    for number in arriving:
        numbers.observe(number, 0.0)
    missing = numbers.give_up(GRACE, GRACE)
    found = {n for gap in missing for n in range(gap.first, gap.last + 1)}
    # Behind the last one that came nothing is known to be missing.
    assert found == {n for n in lost if n < max(arriving, default=0)}
    assert sum(gap.count for gap in missing) == len(found)
