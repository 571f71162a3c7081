"""From profiles to what people see in the morning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from eros.accounts.v1 import profile_pb2
from eros.matcher.v1 import matcher_pb2 as pb
from eros_common.ids import UserId, parse_user_id
from eros_matcher.domain.lists import match_id
from eros_matcher.worker.jobs import JobKind
from tests.integration.matcher.conftest import World
from tests.unit.matcher.crowd import YEAR

MORNING = date(2026, 3, 3)


def ids_of(matches: Iterable[pb.Match]) -> list[UserId]:
    return [parse_user_id(match.user_id) for match in matches]


def passes(seeker: profile_pb2.MatchingProfile, other: profile_pb2.MatchingProfile) -> bool:
    """Whether `other` is whom the seeker asked for, read from the profiles alone."""
    wish = seeker.preferences
    age = YEAR - other.birth_year
    return (
        other.gender in wish.genders
        and (not wish.age_min or age >= wish.age_min)
        and (not wish.age_max or age <= wish.age_max)
    )


async def test_a_night_fills_the_lists_and_the_cache(world: World) -> None:
    people = world.people(600)
    await world.nights.whole(people, MORNING)
    world.at("2026-03-03T07:30:00")

    listed = 0
    for user in people[:80]:
        daily, beyond = await world.daily(user), await world.beyond(user, 50)
        if daily.matches:
            listed += 1
            assert (daily.source, daily.date, daily.success) == ("cache", "2026-03-03", True)
            assert len(daily.matches) == 10 or not beyond.recommendations
        both = [*daily.matches, *beyond.recommendations]
        assert len(set(ids_of(both))) == len(both)
        for match in both:
            other = world.town.profiles[parse_user_id(match.user_id)]
            assert passes(world.town.profiles[user], other)
            assert passes(other, world.town.profiles[user])
            assert match.name == other.name
            assert match.age == YEAR - other.birth_year
            assert 2 <= len(match.reasons) <= 3
            assert match.match_id == str(match_id(user, parse_user_id(match.user_id), MORNING))
            for limit in (
                world.town.profiles[user].preferences.max_distance_km,
                other.preferences.max_distance_km,
            ):
                assert not limit or match.distance_km <= limit
        for matches in (daily.matches, beyond.recommendations):
            scores = [match.score for match in matches]
            assert scores == sorted(scores, reverse=True)
    assert listed > 60


async def test_every_stored_match_passes_both_sides_filters(world: World) -> None:
    people = world.people(900, seed=2)
    await world.nights.whole(people, MORNING)

    rows = await world.pool.fetch("SELECT user_id, other_id FROM matcher.matches")

    assert len(rows) > 5000
    for row in rows:
        a, b = world.town.profiles[row["user_id"]], world.town.profiles[row["other_id"]]
        assert passes(a, b)
        assert passes(b, a)


async def test_database_next_then_cache_again(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    world.at("2026-03-03T08:00:00")
    first, beyond = await world.daily(people[0]), await world.beyond(people[0])
    assert first.source == "cache"
    await world.cache.flushall()

    again = await world.daily(people[0])
    assert again.source == "database"
    assert again.matches == first.matches
    assert await world.beyond(people[0]) == beyond
    assert (await world.daily(people[0])).source == "cache"
    for key in (f"matches:daily:{people[0]}", f"recommendations:{people[0]}"):
        assert 24 * 3600 - 60 < await world.cache.ttl(key) <= 24 * 3600


async def test_score_fills_recommendations_before_match_does(world: World) -> None:
    people = world.friends(40)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    await world.nights.run(JobKind.SCORE, people, MORNING)

    assert await world.cache.exists(f"recommendations:{people[0]}")
    assert not await world.cache.exists(f"matches:daily:{people[0]}")
    answer = await world.beyond(people[0], 50)
    assert len(answer.recommendations) == answer.count == 39


async def test_limits_of_recommendations(world: World) -> None:
    people = world.friends(90)
    await world.nights.whole(people, MORNING)

    whole = await world.beyond(people[0], 50)
    assert len(whole.recommendations) == whole.count == 50
    for limit, count in ((None, 10), (1, 1), (50, 50)):
        answer = await world.beyond(people[0], limit)
        assert answer.recommendations == whole.recommendations[:count]
        assert answer.count == count


async def test_midnight_blanks_nothing_and_the_new_list_replaces_it(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    for instant in ("2026-03-03T12:00:00", "2026-03-04T00:30:00", "2026-03-04T06:00:00"):
        world.at(instant)
        await world.cache.flushall()
        daily = await world.daily(people[0])
        assert (daily.source, daily.date) == ("database", "2026-03-03")

    await world.nights.whole(people, MORNING + timedelta(days=1))
    today = await world.daily(people[0])
    assert today.date == "2026-03-04"
    assert not set(ids_of(today.matches)) & set(ids_of(daily.matches))
    assert ids_of((await world.on(people[0], "2026-03-03")).matches) == ids_of(daily.matches)


async def test_nobody_comes_again_until_everybody_was_shown(world: World) -> None:
    people = world.friends(26)
    shown: list[list[UserId]] = []
    for night in range(3):
        await world.nights.whole(people, MORNING + timedelta(days=night))
        rows = await world.pool.fetch(
            """
            SELECT other_id FROM matcher.matches WHERE user_id = $1 AND list_date = $2 ORDER BY rank
            """,
            *(people[0], MORNING + timedelta(days=night)),
        )
        shown.append([row["other_id"] for row in rows])

    first, second, third = shown
    assert len(first) == len(second) == len(third) == 10
    assert len({*first, *second}) == 20
    # Five are new; then those come again who were shown longest ago, as they were ranked.
    assert not {*first, *second} & {*third[:5]}
    assert third[5:] == first[:5]


async def test_a_preview_of_the_day_counts_as_shown(world: World) -> None:
    people = world.friends(40)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    preview = await world.daily(people[0])
    assert preview.source == "preview"

    await world.nights.run(JobKind.MATCH, people, MORNING)

    assert not set(ids_of((await world.daily(people[0])).matches)) & set(ids_of(preview.matches))


async def test_a_person_alone_and_one_whom_nobody_fits(world: World) -> None:
    people = world.friends(20)
    alone = world.town.add(
        profile_pb2.MatchingProfile(
            user_id=b"0" * 16,
            birth_year=YEAR - 90,
            gender="female",
            preferences=profile_pb2.Preferences(genders=["male"], age_min=95, age_max=99),
        )
    )
    await world.nights.whole([*people, alone], MORNING)

    answer = await world.daily(alone)
    assert answer.success
    assert not answer.matches
    assert "wider age range" in answer.message
    assert not (await world.beyond(alone)).recommendations
    assert (await world.daily(people[0])).matches


async def test_an_empty_market(world: World) -> None:
    (only,) = world.friends(1)
    await world.nights.whole([only], MORNING)

    assert (await world.daily(only)).message


async def test_who_leaves_in_the_middle_of_a_batch_is_not_shown(world: World) -> None:
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    results = await world.nights.compute(JobKind.MATCH, people, MORNING)
    gone, strict = people[1], people[2]
    del world.town.profiles[gone]
    changed = profile_pb2.MatchingProfile()
    changed.CopyFrom(world.town.profiles[strict])
    changed.preferences.age_min = changed.preferences.age_max = 119
    world.town.profiles[strict] = changed
    await world.nights.keep(JobKind.MATCH, results)

    for user in people[3:]:
        shown = ids_of(
            [*(await world.daily(user)).matches, *(await world.beyond(user, 50)).recommendations]
        )
        assert shown
        assert not {gone, strict} & set(shown)
    # The next night knows that they are gone.
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    rows = await world.pool.fetch("SELECT user_id FROM matcher.features WHERE NOT in_market")
    assert [row["user_id"] for row in rows] == [gone]


async def test_broken_numbers_are_computed_anew(world: World) -> None:
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    await world.pool.execute(
        "UPDATE matcher.vectors SET vector = decode(repeat('ff', 520), 'hex') WHERE user_id = $1",
        people[0],
    )

    await world.nights.run(JobKind.MATCH, people, MORNING)

    assert len((await world.daily(people[0])).matches) == 10


async def test_who_was_not_analyzed_yet_is_matched_all_the_same(world: World) -> None:
    people = world.friends(30)
    await world.nights.run(JobKind.ANALYZE, people[1:], MORNING)
    incomplete = world.people(1, seed=9, gender=None)[0]

    await world.nights.run(JobKind.MATCH, [people[0], incomplete], MORNING)

    assert len((await world.daily(people[0])).matches) == 10
    assert "your gender" in (await world.daily(incomplete)).message


async def test_an_action_between_computing_and_keeping_counts(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    me = people[0]
    results = await world.nights.compute(JobKind.MATCH, people, MORNING)
    first = await world.daily(me)
    reported, liked = first.matches[0], first.matches[1]
    await world.act(me, reported, "report")
    await world.act(me, liked, "like")

    await world.nights.keep(JobKind.MATCH, results)

    out = {reported.user_id, liked.user_id}
    for source in ("cache", "database"):
        daily = await world.daily(me)
        assert daily.source == source
        assert daily.matches
        assert not out & {match.user_id for match in daily.matches}
        await world.cache.flushall()
    theirs = await world.daily(parse_user_id(reported.user_id))
    assert me not in ids_of(theirs.matches)


@pytest.mark.parametrize("length", [30, 1900])
async def test_cached_lists_stay_small(world: World, length: int) -> None:
    photos = [f"https://photos.example/{index:02}/{'x' * length}" for index in range(12)]
    people = world.people(
        70,
        photos=photos,
        preferences=profile_pb2.Preferences(genders=["female", "male", "nonbinary"]),
    )
    await world.nights.whole(people, MORNING)

    cache = world.cache
    for key in (f"matches:daily:{people[0]}", f"recommendations:{people[0]}"):
        kept = await cache.get(key)
        assert kept is not None
        assert len(kept) <= (20_000 if length == 30 else 36_000)
    assert len((await world.daily(people[0])).matches) == 10


async def test_lists_of_long_ago_go_when_new_ones_come(world: World) -> None:
    people = world.people(60, seed=3)
    await world.nights.whole(people, MORNING)
    count = "SELECT count(*) FROM matcher.matches WHERE list_date = $1"
    listed = await world.pool.fetchval(count, MORNING)
    assert listed
    for days in (31, 32):
        old = MORNING - timedelta(days=days - 1)
        # Their lists of that long before tomorrow's.
        await world.pool.execute("UPDATE matcher.matches SET list_date = $1", old)
        await world.nights.whole(people, MORNING + timedelta(days=1))
        kept = await world.pool.fetchval(count, old)
        assert kept == (listed if days == 31 else 0)
        if days == 31:
            await world.pool.execute("DELETE FROM matcher.matches WHERE list_date > $1", old)
