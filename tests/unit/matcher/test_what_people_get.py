"""The list of a day: varied within a stated loss, and with reasons that hold on the data."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import numpy as np

from eros.accounts.v1 import profile_pb2
from eros_matcher.domain.people import Filters, distance_km, fit
from eros_matcher.engine.variety import LOSS, varied
from eros_matcher.features.analysis import analyze
from eros_matcher.features.model import DIMS
from eros_matcher.features.record import Record
from tests.unit.matcher.crowd import (
    MODEL,
    YEAR,
    Row,
    a_crowd,
    a_market,
    a_profile,
    match_all,
    true_scores,
)

DAILY = 10


def test_variety_costs_no_place_more_than_stated() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        people = int(rng.integers(1, 80))
        values = np.sort(rng.random(people).astype(np.float32))[::-1]
        traits = rng.standard_normal((people, 8)).astype(np.float32)
        order = varied(values, traits, DAILY)

        assert sorted(order.tolist()) == list(range(people))
        assert order[0] == 0
        chosen = values[order][:DAILY]
        assert (chosen >= values[: len(chosen)] * np.float32(1 - LOSS)).all()
        assert (np.diff(chosen) <= 0).all()


def test_clones_make_room_for_somebody_else() -> None:
    values = np.linspace(0.5, 0.48, 40, dtype=np.float32)
    traits = np.ones((40, 4), dtype=np.float32)
    traits[30:] = -1
    order = varied(values, traits, DAILY)
    assert (order[:DAILY] >= 30).any()


def test_nobody_with_equal_traits_or_none_breaks_it() -> None:
    for traits in (np.zeros((30, 4)), np.ones((30, 4))):
        order = varied(np.ones(30, dtype=np.float32), traits.astype(np.float32), DAILY)
        assert sorted(order.tolist()) == list(range(30))


def test_a_day_is_chosen_of_the_sixty_best(tmp_path: Path) -> None:
    people = a_crowd(2500, seed=6)
    market = a_market(people)
    rows = [Row(seeker) for seeker in people[:60]]

    plain = match_all(tmp_path, market, rows)
    days = match_all(tmp_path, market, rows, daily=DAILY)

    differ = 0
    for best, day in zip(plain, days, strict=True):
        assert {s.other_id for s in best} == {s.other_id for s in day}
        for part in (day[:DAILY], day[DAILY:]):
            assert [s.score for s in part] == sorted((s.score for s in part), reverse=True)
        for there, shown in zip(best[:DAILY], day[:DAILY], strict=True):
            assert shown.score >= there.score * (1 - LOSS) * 0.9999
        differ += best != day
    assert differ > 20


def test_every_reason_is_true(tmp_path: Path) -> None:
    random = Random(12)
    profiles = {}
    for _ in range(1200):
        profile = a_profile(random)
        profiles[profile.user_id] = profile
    people = {key: analyze(profile, MODEL, YEAR) for key, profile in profiles.items()}
    seekers = list(people.values())[:150]

    found = match_all(tmp_path, a_market(people.values()), [Row(seeker) for seeker in seekers])

    said: set[str] = set()
    for seeker, suggestions in zip(seekers, found, strict=True):
        for suggestion in suggestions:
            other = people[suggestion.other_id.bytes]
            assert 2 <= len(suggestion.reasons) <= 3
            assert len(set(suggestion.reasons)) == len(suggestion.reasons)
            for sentence in suggestion.reasons:
                said.add(check(sentence, seeker, other, profiles))
    assert said == {"interests", "near", "ages", "within", "mutual", "sought"}


def check(
    sentence: str,
    seeker: Record,
    other: Record,
    profiles: dict[bytes, profile_pb2.MatchingProfile],
) -> str:
    """Which claim it is; fails where the data do not bear it out."""
    mine, theirs = _filters(seeker), _filters(other)
    age, other_age = YEAR - mine.birth_year, YEAR - theirs.birth_year
    apart = distance_km(mine.place, theirs.place)
    if close := re.fullmatch(r"You live about (\d+) km apart\.", sentence):
        assert apart is not None
        assert abs(int(close[1]) - apart) <= 1
        return "near"
    if sentence == "You live less than a kilometre apart.":
        assert apart is not None
        assert apart < 1.01
        return "near"
    if sentence == "You are the same age.":
        assert age == other_age
        return "ages"
    if sentence == "You are nearly the same age.":
        assert 0 < abs(age - other_age) <= 3
        return "ages"
    if bounds := re.fullmatch(r"At (\d+), they are within .* (\d+) to (\d+)\.", sentence):
        at, low, high = map(int, bounds.groups())
        assert (at, low, high) == (other_age, mine.age_min, mine.age_max)
        assert low <= at <= high
        return "within"
    if sentence == "We expect the interest to be mutual.":
        assert min(_logit(seeker, other), _logit(other, seeker)) > 0
        return "mutual"
    if sentence == "Each of you is what the other looks for.":
        assert fit(mine, theirs, YEAR)
        return "sought"
    lists = [set(profiles[person.user_id.bytes].interests) for person in (seeker, other)]
    both = {_thing(text) for text in lists[0] & lists[1]}
    claim = re.fullmatch(r"You both (?:like|speak|say) (.+)\.", sentence)
    assert claim is not None, sentence
    for thing in re.split(r", | and ", claim[1]):
        assert thing.strip("“”") in both
    return "interests"


def _thing(interest: str) -> str:
    return interest.removeprefix("likes ").removeprefix("speaks ")


def _filters(person: Record) -> Filters:
    assert person.filters is not None
    return person.filters


def _logit(u: Record, v: Record) -> float:
    mine, theirs = (np.frombuffer(person.vector, dtype="<f4") for person in (u, v))
    product = mine[:DIMS] @ theirs[DIMS : 2 * DIMS]
    return float(mine[2 * DIMS] + theirs[2 * DIMS + 1] + product)


def test_where_everybody_is_filtered_out_the_list_is_empty(tmp_path: Path) -> None:
    people = a_crowd(800, seed=21)
    seeker = people[0]
    out = [person.user_id for person in people if person is not seeker]
    assert true_scores(seeker, people)
    assert match_all(tmp_path, a_market(people), [Row(seeker, out)]) == [()]
