"""The whole matching program against the plain truth, pair by pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eros.accounts.v1 import profile_pb2
from eros_common.ids import UserId
from eros_matcher.compute.program import CheckpointRejectedError, RowError
from eros_matcher.domain.people import fit
from eros_matcher.features.analysis import analyze
from eros_matcher.features.record import Record
from eros_matcher.market.market import TILE
from eros_matcher.programs.match import snapshot_bytes
from tests.unit.matcher.crowd import (
    MODEL,
    YEAR,
    Row,
    a_crowd,
    a_market,
    a_profile,
    finish,
    match_all,
    open_program,
    true_scores,
)

CLOSE = 1e-5


def assert_best(found: list[tuple[UserId, float]], truth: dict[UserId, float], wanted: int) -> None:
    """`found` is a list of the `wanted` best of `truth`, up to what float32 cannot tell apart."""
    assert len(found) == min(wanted, len(truth))
    assert len({user for user, _ in found}) == len(found)
    for user, score in found:
        assert score == pytest.approx(truth[user], abs=CLOSE)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    left = set(truth) - {user for user, _ in found}
    if found and left:
        assert max(truth[user] for user in left) <= scores[-1] + CLOSE


def test_the_best_of_a_market_of_several_tiles(tmp_path: Path) -> None:
    people = a_crowd(2300)
    market = a_market(people)
    assert market.tiles >= 3
    seekers = people[:120]

    found = match_all(tmp_path, market, [Row(seeker) for seeker in seekers])

    truths = [true_scores(seeker, people) for seeker in seekers]
    for suggestions, truth in zip(found, truths, strict=True):
        assert_best([(s.other_id, s.score) for s in suggestions], truth, 60)
    assert sum(len(truth) > 60 for truth in truths) > 20
    assert sum(0 < len(truth) < 60 for truth in truths) > 20


def test_nobody_on_either_side_is_refused_by_the_others_filters(tmp_path: Path) -> None:
    people = {person.user_id: person for person in a_crowd(1500, seed=5)}
    seekers = list(people.values())[::10]

    found = match_all(tmp_path, a_market(people.values()), [Row(seeker) for seeker in seekers])

    for seeker, suggestions in zip(seekers, found, strict=True):
        for suggestion in suggestions:
            other = people[suggestion.other_id]
            assert seeker.filters is not None
            assert other.filters is not None
            assert fit(seeker.filters, other.filters, YEAR)
    assert sum(map(len, found)) > 1000


ages = st.integers(18, 24)
profiles = st.builds(
    lambda gender, seeks, age, low, high, km, cell: (gender, seeks, age, low, high, km, cell),
    st.sampled_from(["female", "male", "nonbinary"]),
    st.sets(st.sampled_from(["female", "male", "nonbinary"]), min_size=1),
    ages,
    ages,
    ages,
    st.sampled_from([0.0, 1.0, 30.0, 500.0]),
    # The last two are on both sides of the date line, and a pole.
    st.sampled_from(
        [None, (50.0, 8.0), (50.1, 8.0), (50.2, 8.1), (0, 179.99), (0, -179.99), (90, 0)]
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(profiles, min_size=1, max_size=25), data=st.data())
def test_masks_are_the_filters(tmp_path: Path, drawn: list[tuple], data: st.DataObject) -> None:  # type: ignore[type-arg]
    random = Random(7)
    people = [
        analyze(
            a_profile(
                random,
                birth_year=YEAR - age,
                gender=gender,
                preferences=profile_pb2.Preferences(
                    genders=sorted(seeks),
                    age_min=min(low, high),
                    age_max=max(low, high),
                    max_distance_km=km,
                ),
                location=profile_pb2.Location()
                if cell is None
                else profile_pb2.Location(lat=cell[0], lon=cell[1]),
            ),
            MODEL,
            YEAR,
        )
        for gender, seeks, age, low, high, km, cell in drawn
    ]
    excluded = data.draw(st.lists(st.sampled_from(people), max_size=3))
    out = [person.user_id for person in excluded]

    found = match_all(tmp_path, a_market(people), [Row(seeker, out) for seeker in people])

    for seeker, suggestions in zip(people, found, strict=True):
        assert {s.other_id for s in suggestions} == set(true_scores(seeker, people)) - set(out)


def test_a_row_is_the_same_alone_in_a_crowd_and_resumed_at_every_chunk(tmp_path: Path) -> None:
    people = a_crowd(3000, seed=3)
    market = a_market(people)
    rows = [Row(seeker) for seeker in people[:40]]
    together = open_program(tmp_path, market, rows)
    for row in range(len(rows)):
        together.load(row, None)
    expected = finish(together, range(len(rows)))

    for row in range(0, len(rows), 7):
        alone = open_program(tmp_path, market, [rows[row]])
        alone.load(0, None)
        steps = 0
        while not alone.chunk([0], 1).finished:
            state = alone.snapshot(0)
            assert len(state) <= snapshot_bytes(60, 0)
            alone.close()
            # Another process, another row number, other company.
            alone = open_program(tmp_path, market, [rows[row], rows[0]])
            alone.load(0, state)
            steps += 1
        assert steps >= 1
        assert alone.result(0) == expected[row]


def test_a_row_that_was_halted_catches_up_with_the_others(tmp_path: Path) -> None:
    people = a_crowd(3000, seed=4)
    market = a_market(people)
    rows = [Row(seeker) for seeker in people[:20]]
    first = open_program(tmp_path, market, rows)
    for row in range(20):
        first.load(row, None)
    expected = finish(first, range(20))

    second = open_program(tmp_path, market, rows)
    for row in range(20):
        second.load(row, None)
    second.chunk(range(20), 2)
    halted = {row: second.snapshot(row) for row in (3, 11)}
    others = [row for row in range(20) if row not in halted]
    second.chunk(others, 1)
    for row, state in halted.items():
        second.drop(row)
        second.load(row, state)

    assert finish(second, range(20)) == expected


def test_a_state_of_another_market_is_refused(tmp_path: Path) -> None:
    people = a_crowd(1200)
    program = open_program(tmp_path, a_market(people), [Row(people[0])])
    program.load(0, None)
    state = program.snapshot(0)
    smaller = open_program(tmp_path, a_market(people[:100]), [Row(people[0])])

    for other in (state, b"", b"1234567", state + b"\0"):
        with pytest.raises(CheckpointRejectedError):
            smaller.load(0, other)


def test_who_was_shown_comes_again_only_when_nobody_else_is_left(tmp_path: Path) -> None:
    people = a_crowd(1500)
    seeker = max(people[:50], key=lambda person: len(true_scores(person, people)))
    truth = sorted(true_scores(seeker, people).items(), key=lambda one: -one[1])
    # All but eight, the oldest first: from the worst to the best.
    shown = [user for user, _ in truth[8:]][::-1]
    decided = shown[:2]

    (found,) = match_all(tmp_path, a_market(people), [Row(seeker, decided, shown)], wanted=20)

    users = [s.other_id for s in found]
    assert users[:8] == [user for user, _ in truth[:8]]
    assert users[8:] == shown[2:14]


def test_a_sample_is_a_part_of_the_market_and_always_the_same(tmp_path: Path) -> None:
    people = a_crowd(6 * TILE)
    market = a_market(people)
    rows = [Row(seeker) for seeker in people[:30]]

    whole = match_all(tmp_path, market, rows, wanted=1000)
    part = match_all(tmp_path, market, rows, wanted=1000, sample=2)

    assert match_all(tmp_path, market, rows[4:9], wanted=1000, sample=2) == part[4:9]
    for all_of_them, some in zip(whole, part, strict=True):
        assert {s.other_id for s in some} <= {s.other_id for s in all_of_them}
    assert 0 < sum(map(len, part)) < sum(map(len, whole)) / 2


def test_clones_are_told_apart_by_their_place(tmp_path: Path) -> None:
    """Hundreds of equal scores: the result is still one, however the rows were batched."""
    random = Random(1)
    base = analyze(
        a_profile(
            random,
            gender="female",
            birth_year=1990,
            preferences=profile_pb2.Preferences(genders=["female"]),
        ),
        MODEL,
        YEAR,
    )
    clones = [
        replace(base, user_id=analyze(a_profile(random), MODEL, YEAR).user_id) for _ in range(1400)
    ]
    market = a_market(clones)

    alone = match_all(tmp_path, market, [Row(clones[5])])
    together = match_all(tmp_path, market, [Row(clone) for clone in clones[:20]])

    assert alone[0] == together[5]
    assert len(alone[0]) == 60
    assert len({s.score for s in alone[0]}) == 1


def test_a_person_alone_and_an_empty_market(tmp_path: Path) -> None:
    people = a_crowd(1)

    assert match_all(tmp_path, a_market(people), [Row(people[0])]) == [()]
    assert match_all(tmp_path, a_market([]), [Row(people[0])]) == [()]


def test_a_newcomer_is_analyzed_on_the_way(tmp_path: Path) -> None:
    people = a_crowd(400)
    newcomer = a_profile(Random(99))
    market = a_market(people)

    from_profile = match_all(tmp_path, market, [Row(newcomer)])

    assert from_profile == match_all(tmp_path, market, [Row(analyze(newcomer, MODEL, YEAR))])
    assert from_profile[0]


def test_numbers_that_are_none_fail_their_own_row_only(tmp_path: Path) -> None:
    people = a_crowd(300)
    values = np.frombuffer(people[1].vector, dtype="<f4").copy()
    values[3] = np.nan
    broken = replace(people[1], vector=values.tobytes())
    short = replace(people[2], vector=people[2].vector[:-4])
    program = open_program(tmp_path, a_market(people), [Row(people[0]), Row(broken), Row(short)])

    program.load(0, None)
    for row in (1, 2):
        with pytest.raises(RowError) as refused:
            program.load(row, None)
        assert refused.value.row == row
    assert finish(program, [0])


def test_people_with_broken_vectors_are_not_in_the_market() -> None:
    people = a_crowd(10)
    broken = [replace(people[0], vector=b"\xff" * len(people[0].vector)), *people[1:]]

    market = a_market(broken)

    assert market.people == 9
    assert not len(market.positions(people[0].user_id.bytes))


def test_positions_are_found_whatever_bytes_an_id_ends_with() -> None:
    person: Record = a_crowd(1)[0]
    ids = [bytes(16), bytes(15) + b"\1", b"\1" + bytes(15), b"\1\2" + bytes(14), b"\xff" * 16]
    people = [replace(person, user_id=UserId(UUID(bytes=i))) for i in ids]
    market = a_market(people)

    for wanted in ids:
        (at,) = market.positions(wanted)
        assert market.ids[at].tobytes() == wanted
    assert not len(market.positions(b"\1\2\3" + bytes(13)))
