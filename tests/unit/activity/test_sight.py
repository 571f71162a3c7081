"""Blind means pause."""

from __future__ import annotations

import pytest

from eros_activity.domain.sight import Blind, Pause, Sight, pause_after


@pytest.mark.parametrize(
    ("gap", "until"),
    [(0.0, 1060.0), (5.0, 1065.0), (60.0, 1120.0), (86400.0, 1120.0), (-3.0, 1060.0)],
)
def test_a_pause_lasts_the_gap_and_one_interval(gap: float, until: float) -> None:
    assert pause_after(gap, 1000.0, 60.0, "why") == Pause(until, "why")


def test_a_part_that_fails_for_longer_than_the_silence_is_blind() -> None:
    sight = Sight(silence=2.0)
    sight.fails("log", 10.0, "reset")
    sight.fails("log", 11.9, "refused")
    assert sight.blind(11.9) == []
    sight.fails("log", 12.0, "refused")
    assert sight.blind(12.0) == [Blind("log", 10.0, "reset")]
    assert sight.works("log", 12.5) == Blind("log", 10.0, "reset")
    assert sight.blind(99.0) == []
    assert sight.works("log", 99.0) is None


def test_a_short_failure_is_no_blindness() -> None:
    sight = Sight(silence=2.0)
    sight.fails("log", 10.0, "reset")
    assert sight.works("log", 11.0) is None
    sight.fails("log", 11.5, "reset")
    assert sight.blind(13.0) == []


def test_parts_are_blind_on_their_own() -> None:
    sight = Sight(silence=2.0)
    sight.fails("log", 10.0, "a")
    sight.fails("sweep", 11.0, "b")
    assert {blind.part for blind in sight.blind(12.5)} == {"log"}
    sight.works("log", 12.5)
    assert {blind.part for blind in sight.blind(13.0)} == {"sweep"}
