"""What the night leaves for the assistant."""

from __future__ import annotations

from datetime import date

from eros_advice.prepared import KEPT_SECONDS, decode, prepared_key
from eros_advice.texts import Language
from eros_common.ids import parse_user_id
from eros_matcher.worker.jobs import JobKind
from tests.integration.matcher.conftest import World

MORNING = date(2026, 3, 3)


async def test_first_lines_for_tonights_matches_are_in_the_cache(world: World) -> None:
    people = world.friends(40)
    await world.nights.whole(people, MORNING)
    await world.nights.run(JobKind.PREPARE, people, MORNING)
    world.at("2026-03-03T07:30:00")
    user = people[0]
    data = await world.cache.get(prepared_key(user))
    assert isinstance(data, bytes)
    assert 0 < await world.cache.ttl(prepared_key(user)) <= KEPT_SECONDS
    assert len(data) <= 16_000
    prepared = decode(data)
    assert prepared is not None
    matches = (await world.daily(user)).matches
    assert matches
    for language in Language:
        assert set(prepared.openings[language]) <= {match.user_id for match in matches}
        for other, lines in prepared.openings[language].items():
            name = world.town.profiles[parse_user_id(other)].name
            assert all(name in line for line in lines)
    assert prepared.questions
    for notes in prepared.notes.values():
        assert notes.keys() <= set(prepared.questions)
        assert {one.about for one in notes.values()} <= {"", *(one.user_id for one in matches)}
    assert prepared.notes[Language.EN]["first-message"].about == matches[0].user_id
    assert prepared.review[Language.ES]


async def test_whoever_left_gets_nothing(world: World) -> None:
    people = world.friends(6)
    await world.nights.whole(people, MORNING)
    del world.town.profiles[people[0]]
    await world.nights.run(JobKind.PREPARE, people, MORNING)
    assert await world.cache.get(prepared_key(people[0])) is None
    data = await world.cache.get(prepared_key(people[1]))
    assert isinstance(data, bytes)
    kept = decode(data)
    assert kept is not None
    assert str(people[0]) not in kept.openings[Language.EN]
