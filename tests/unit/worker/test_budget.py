"""What was taken is told against what was allowed, whenever the cap changed."""

from __future__ import annotations

import pytest

from eros_matcher.worker.budget import Budget


def test_ten_seconds_tell_the_error_and_not_before() -> None:
    budget = Budget(wall=0, cpu=0)
    budget.allow(0.15, wall=0)
    told = [budget.look(wall=t, cpu=0.16 * t).beyond for t in range(1, 13)]
    assert told[:9] == [None] * 9
    assert told[9:] == [pytest.approx(0.01)] * 3


def test_only_the_last_ten_seconds_count() -> None:
    budget = Budget(wall=0, cpu=0)
    budget.allow(0.05, wall=0)
    told = [budget.look(wall=t, cpu=max(0, t - 80) * 0.05) for t in range(1, 100)]
    assert told[70].beyond == pytest.approx(-0.05)
    assert told[-1].beyond == pytest.approx(0.0)


def test_each_cap_counts_for_as_long_as_it_held() -> None:
    budget = Budget(wall=0, cpu=0)
    for t in range(0, 20, 2):
        budget.allow(0.95, wall=t)
        budget.allow(0.0, wall=t + 0.5)
    told = budget.look(wall=20, cpu=10 * 0.5 * 0.95)
    assert told.beyond == pytest.approx(0.0)


def test_the_cap_that_is_told_is_the_highest_since_the_last_look() -> None:
    budget = Budget(wall=0, cpu=0)
    budget.allow(0.95, wall=0.2)
    budget.allow(0.0, wall=0.4)
    told = budget.look(wall=1, cpu=0.19)
    assert told.cpu == pytest.approx(0.19)
    assert told.cap == 0.95
    assert budget.look(wall=2, cpu=0.19).cap == 0.0
