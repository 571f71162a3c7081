"""The audit of exposure: shares, and nobody in the market."""

from __future__ import annotations

import pytest

from eros_cli.commands.exposure import summary


def row(gender: int, ages: str, people: int, shown: int) -> dict[str, object]:
    return {
        "gender": gender,
        "ages": ages,
        "people": people,
        "shown": shown,
        "never": 1,
        "most": 9,
    }


def test_a_group_that_is_shown_as_often_as_others_is_at_one() -> None:
    found = summary([row(1, "18-24", 10, 100), row(2, "18-24", 30, 300)], 2)
    assert [group["over_even"] for group in found["groups"]] == [1.0, 1.0]
    assert found["groups"][0]["shown_per_person_day"] == 5.0
    uneven = summary([row(1, "55+", 10, 0), row(4, "55+", 10, 300)], 1)
    assert [group["over_even"] for group in uneven["groups"]] == pytest.approx([0.0, 2.0])


def test_an_empty_market_is_even() -> None:
    assert summary([], 7) == {"days": 7, "people": 0, "places": 0, "groups": []}
    assert summary([row(1, "18-24", 3, 0)], 7)["groups"][0]["over_even"] is None
