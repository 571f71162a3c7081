"""The nights of the demo's people."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from eros_cli.demo.sleepers import next_span, plan, span
from eros_common.ids import UserId
from eros_common.phases import Window

EVENING = date(2026, 11, 24)
PEOPLE = {
    UserId(UUID(int=index)): zone
    for index, zone in enumerate(["Europe/Lisbon", "Europe/Athens"] * 200)
}


def test_the_span_holds_every_window_and_every_bedtime() -> None:
    played = span(PEOPLE.values(), EVENING, Window())
    assert played.start < datetime(2026, 11, 24, 21, tzinfo=UTC)  # 23:00 in Athens
    assert played.end > datetime(2026, 11, 25, 7, tzinfo=UTC)  # 07:00 in Lisbon
    for sleeper in plan(PEOPLE, EVENING, Window(), seed=1):
        assert sleeper.awake(played.start)
        assert sleeper.to_bed < sleeper.rise


def test_the_next_night_is_wholly_ahead() -> None:
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert next_span(PEOPLE.values(), noon, Window()) == span(PEOPLE.values(), EVENING, Window())
    late = datetime(2026, 11, 24, 23, tzinfo=UTC)
    assert next_span(PEOPLE.values(), late, Window()).evening == date(2026, 11, 25)


def test_people_sleep_between_bed_and_rising_but_for_the_restless() -> None:
    sleepers = plan(PEOPLE, EVENING, Window(), seed=1)
    for sleeper in sleepers:
        assert sleeper.awake(sleeper.to_bed - timedelta(seconds=1))
        assert not sleeper.awake(sleeper.to_bed)
        assert sleeper.awake(sleeper.rise)
        if sleeper.restless is not None:
            assert sleeper.awake(sleeper.restless)
            assert not sleeper.awake(sleeper.restless + timedelta(minutes=5))
    assert 0 < sum(sleeper.restless is not None for sleeper in sleepers) < 40


def test_the_same_seed_plays_the_same_night() -> None:
    assert plan(PEOPLE, EVENING, Window(), seed=1) == plan(PEOPLE, EVENING, Window(), seed=1)
    assert plan(PEOPLE, EVENING, Window(), seed=1) != plan(PEOPLE, EVENING, Window(), seed=2)
