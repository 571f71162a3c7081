"""The error is told over ten seconds under one cap, and not before."""

from __future__ import annotations

import pytest

from eros_matcher.worker.cap_error import CapError


def test_ten_seconds_under_one_cap_tell_the_error() -> None:
    error = CapError()
    told = [error.look(wall=t, cpu=0.16 * t, cap=0.15) for t in range(13)]
    assert told[:10] == [None] * 10
    assert told[10:] == [pytest.approx(0.01)] * 3


def test_only_the_last_ten_seconds_count() -> None:
    error = CapError()
    for t in range(100):
        told = error.look(wall=t, cpu=0.0 if t < 80 else (t - 80) * 0.05, cap=0.05)
    assert told == pytest.approx(0.0)


def test_another_cap_begins_anew_and_without_one_there_is_no_error() -> None:
    error = CapError()
    for t in range(20):
        error.look(wall=t, cpu=0.95 * t, cap=0.95)
    assert error.look(wall=20, cpu=19.0, cap=0.05) is None
    assert all(error.look(wall=t, cpu=19.0, cap=0.0) is None for t in range(21, 60))
