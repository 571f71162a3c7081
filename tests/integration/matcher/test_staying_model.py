"""Nights under one model: only who changed is scored again, and the lists are the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from eros.accounts.v1 import profile_pb2
from eros_common.ids import UserId
from eros_matcher.engine.best import Positions
from eros_matcher.engine.search import Search
from eros_matcher.features.model import Model, encode
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.store_models import PostgresModels
from eros_matcher.work import markets
from eros_matcher.worker.jobs import JobKind
from tests.integration.matcher.conftest import World
from tests.integration.matcher.town import Nights

MORNING = date(2026, 3, 3)
NIGHT = timedelta(days=1)
LEARNER = UserId(UUID(int=0))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For every row for which something was kept: whether that was enough."""
    asked: list[bool] = []
    whole = Search.take_up

    def noted(self: Search, rows: Positions) -> int:
        enough = whole(self, rows)
        asked.extend([True] * enough + [False] * (len(rows) - enough))
        return enough

    monkeypatch.setattr(Search, "take_up", noted)
    return asked


async def lists(world: World, day: date) -> list[Any]:
    daily = await world.pool.fetch(
        """
        SELECT user_id, other_id, rank, score, distance_km, reasons FROM matcher.matches
        WHERE list_date = $1 ORDER BY user_id, rank
        """,
        day,
    )
    beyond = await world.pool.fetch(
        """
        SELECT user_id, others, scores, distances, reasons FROM matcher.recommendations
        WHERE list_date = $1 ORDER BY user_id
        """,
        day,
    )
    return [*map(tuple, daily), *map(tuple, beyond)]


async def test_only_what_changed_is_scored_again(
    world: World, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both searches of the second night are to be in the market of that night.
    monkeypatch.setattr(markets, "_REST_SECONDS", 0.0)
    monkeypatch.setattr(markets, "_REST_BUILDS", 0.0)
    people = world.friends(300)
    nights = Nights(
        world.pool, await world.work_of(learn_every_nights=7, keep_from_people=0), world.clock
    )
    await nights.whole(people, MORNING)
    assert not taken
    assert await world.pool.fetchval("SELECT count(*) FROM matcher.kept") == 300

    # By day somebody changes, somebody leaves, somebody comes, and people decide.
    changed, gone = people[0], people[1]
    profile = profile_pb2.MatchingProfile()
    profile.CopyFrom(world.town.profiles[changed])
    profile.interests.extend(["chess", "rain"])
    profile.birth_year -= 3
    world.town.profiles[changed] = profile
    del world.town.profiles[gone]
    people += world.friends(1, seed=9)
    for user in people[2:40]:
        first, second, *_ = (await world.daily(user)).matches
        await world.act(user, first, "like")
        await world.act(user, second, "skip")

    world.at("2026-03-04T05:30:00")
    await nights.run(JobKind.ANALYZE, people, MORNING + NIGHT)
    await nights.run(JobKind.MATCH, people, MORNING + NIGHT)
    found = await lists(world, MORNING + NIGHT)
    assert len(taken) == 298
    assert sum(taken) > 290

    await world.pool.execute("DELETE FROM matcher.kept")
    await nights.run(JobKind.MATCH, people, MORNING + NIGHT)
    assert len(taken) == 298
    assert await lists(world, MORNING + NIGHT) == found
    assert len(found) > 299 * 10


async def test_a_model_that_is_followed_by_another_each_night_keeps_nothing(
    world: World, taken: list[bool]
) -> None:
    people = world.friends(40)
    nights = Nights(world.pool, await world.work_of(keep_from_people=0), world.clock)
    await nights.whole(people, MORNING)
    assert await world.pool.fetchval("SELECT count(*) FROM matcher.kept") == 0
    # Two nights later it is still served: learning does not come about, so it pays to keep.
    world.at("2026-03-05T05:30:00")
    await nights.run(JobKind.MATCH, people, MORNING + 2 * NIGHT)
    assert await world.pool.fetchval("SELECT count(*) FROM matcher.kept") == 40
    world.at("2026-03-06T05:30:00")
    await nights.run(JobKind.MATCH, people, MORNING + 3 * NIGHT)
    assert taken == [True] * 40

    await nights.run(JobKind.LEARN, [LEARNER], MORNING + 3 * NIGHT)
    assert await world.pool.fetchval("SELECT count(*) FROM matcher.kept") == 0


async def test_a_learned_model_stays_as_long_as_it_is_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = world.friends(30)
    work = await world.work_of(learn_every_nights=3)
    nights = Nights(world.pool, work, world.clock)
    await nights.run(JobKind.ANALYZE, people, MORNING)
    versions = []
    # A model set by hand waits for nothing; here each one counts as learned from then on.
    for night in range(5):
        await nights.run(JobKind.LEARN, [LEARNER], MORNING + night * NIGHT)
        versions.append((await PostgresModels(world.pool).current()).version)
        monkeypatch.setattr(Model, "was_learned", property(lambda _: True))
        # What is published now is so by the machine's clock, not by this test's.
        await world.pool.execute(
            "UPDATE matcher.models SET published_at = $1 WHERE version = $2 AND published_at > $1",
            *(world.clock.wall(), versions[-1]),
        )
        work = await world.work_of(learn_every_nights=3)
        nights = Nights(world.pool, work, world.clock)
        world.clock.advance(NIGHT.total_seconds())
    assert versions == [2, 2, 2, 3, 3]


async def test_who_left_is_in_nothing_that_was_kept(world: World) -> None:
    people = world.friends(30)
    nights = Nights(
        world.pool, await world.work_of(learn_every_nights=7, keep_from_people=0), world.clock
    )
    await nights.whole(people, MORNING)
    one = people[0]
    await world.admin.execute("SELECT matcher.forget($1)", [one])
    assert (
        await world.pool.fetchval("SELECT count(*) FROM matcher.kept WHERE user_id = $1", one) == 0
    )
    erasures = PostgresErasures(world.pool, ValkeyLists(world.cache))
    assert await erasures.sweep() == 1
    left = "SELECT count(*) FROM matcher.kept WHERE $1 = ANY (others)"
    assert await world.pool.fetchval(left, one) == 0
    assert await erasures.sweep(again_seconds=0) == 1


async def test_as_many_a_day_as_is_set(world: World) -> None:
    people = world.friends(60)
    nights = Nights(world.pool, await world.work_of(matches_a_day=3), world.clock)
    await nights.whole(people, MORNING)
    world.at("2026-03-03T07:30:00")
    daily, beyond = await world.daily(people[0]), await world.beyond(people[0], 50)
    assert len(daily.matches) == 3
    assert len(beyond.recommendations) == 50
    assert not {m.user_id for m in daily.matches} & {m.user_id for m in beyond.recommendations}


async def test_the_score_that_is_shown_has_mutual_interest_in_it(world: World) -> None:
    people = world.friends(60)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    before = await PostgresModels(world.pool).current()
    await world.nights.run(JobKind.MATCH, people, MORNING)
    plain = {(u, o): score for u, o, _, score, *_ in (await lists(world, MORNING))[:600]}
    body = encode(replace(before.model, mutual=0.5))
    await world.pool.execute(
        "UPDATE matcher.models SET body = $1, sha256 = sha256($1) WHERE version = $2",
        *(body, before.version),
    )
    nights = Nights(world.pool, await world.work_of(), world.clock)
    await nights.run(JobKind.MATCH, people, MORNING)
    more = {(u, o): score for u, o, _, score, *_ in (await lists(world, MORNING))[:600]}
    both = plain.keys() & more.keys()
    assert len(both) > 300
    assert all(more[pair] > plain[pair] for pair in both)
