"""The four calls as people make them."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import grpc
import pytest

from eros.accounts.v1 import profile_pb2
from eros.matcher.v1 import matcher_pb2 as pb
from eros_common.errors import ErosError, ErrorCode, Unavailable, from_rpc_error
from eros_common.ids import new_user_id, parse_user_id
from eros_common.postgres_drops import OwedDrops
from eros_matcher.answers import beyond_of, daily_of
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.worker.jobs import JobKind
from tests.integration.matcher.conftest import World
from tests.integration.matcher.test_nights import MORNING, ids_of, passes


def refusal(caught: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> ErosError:
    return from_rpc_error(caught.value)


async def test_who_is_not_in_the_market_is_told_what_to_fill_in(world: World) -> None:
    users = [
        world.people(1, 1, gender=None)[0],
        world.people(1, 2, birth_year=None, preferences=None)[0],
        new_user_id(),
    ]

    messages = [(await world.daily(user)).message for user in users]

    assert messages == [
        "Add your gender to your profile to meet people.",
        "Add your age and whom you seek to your profile to meet people.",
        "Add your age, your gender and whom you seek to your profile to meet people.",
    ]
    answer = await world.beyond(users[0])
    assert (answer.success, answer.count, answer.message) == (True, 0, messages[0])
    assert (await world.daily(users[0])).date == "2026-03-02"


async def test_a_newcomer_sees_people_at_once(world: World) -> None:
    people = world.people(300)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    world.active += people
    await world.recent.refresh()
    newcomer = world.friends(1, seed=50)[0]

    first = await world.daily(newcomer)

    assert (first.source, first.date) == ("preview", "2026-03-02")
    assert len(first.matches) == 10
    for match in first.matches:
        other = world.town.profiles[parse_user_id(match.user_id)]
        assert passes(world.town.profiles[newcomer], other)
        assert passes(other, world.town.profiles[newcomer])
    # The ids are real: the same ones again, and somebody to act on.
    assert (await world.daily(newcomer)).matches == first.matches
    beyond = await world.beyond(newcomer, 50)
    assert beyond.recommendations
    assert not set(ids_of(beyond.recommendations)) & set(ids_of(first.matches))
    await world.act(newcomer, first.matches[0], "like")
    await world.act(newcomer, beyond.recommendations[0], "skip")
    assert not await world.cache.keys("*")
    # And the night is to make a list of its own.
    jobs = await world.admin.fetch(
        "SELECT kind FROM scheduler.jobs WHERE user_id = $1 ORDER BY kind", newcomer
    )
    assert [job["kind"] for job in jobs] == [1, 2, 3, 4]


async def test_people_of_the_same_day_find_each_other_before_any_night(world: World) -> None:
    early = world.friends(1, seed=50)[0]
    world.active.append(early)
    assert not (await world.daily(early)).matches
    late = world.friends(1, seed=51)[0]
    world.active.insert(0, late)
    # Asked again at once, nobody looks again: that would be a market built for each request.
    assert not (await world.daily(early)).matches

    world.clock.advance(5)
    assert [match.user_id for match in (await world.daily(early)).matches] == [str(late)]
    assert [match.user_id for match in (await world.daily(late)).matches] == [str(early)]


async def test_a_preview_looks_at_everybody_where_nobody_was_active(world: World) -> None:
    people = world.people(300)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    await world.recent.refresh()

    for user in people[:20]:
        fitting = [other for other in people if other != user and world.fit(user, other)]
        answer = await world.daily(user)
        assert (answer.source, len(answer.matches)) == ("preview", min(10, len(fitting)))


async def test_a_preview_shows_nobody_who_was_decided_or_reported(world: World) -> None:
    people = world.friends(14)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    world.active += people
    await world.recent.refresh()
    me = people[0]
    first = await world.daily(me)
    for match, action in zip(first.matches, ("like", "skip", "report") * 3, strict=False):
        await world.act(me, match, action)

    rest = await world.daily(me)
    assert rest.matches == first.matches[9:]
    # A new day: three are left who were never shown, and the one who was not answered.
    world.at("2026-03-05T12:00:00")
    later = await world.daily(me)
    answered = set(ids_of(first.matches[:9]))
    assert set(ids_of(later.matches)) == set(people[1:]) - answered
    reported = parse_user_id(first.matches[2].user_id)
    assert me not in ids_of((await world.daily(reported)).matches)


async def test_liked_and_skipped_people_go_and_a_viewed_one_stays(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    me = people[0]
    first = await world.daily(me)
    liked, skipped, viewed = first.matches[:3]

    await world.act(me, viewed, "view")
    assert (await world.daily(me)).source == "cache"
    await world.act(me, liked, "like")
    await world.act(me, skipped, "skip")

    for source in ("database", "cache"):
        daily = await world.daily(me)
        assert daily.source == source
        assert daily.matches == first.matches[2:]


async def test_who_answered_everybody_is_told_so(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    me = people[0]
    for match in (await world.daily(me)).matches:
        await world.act(me, match, "skip")

    for source in ("database", "cache"):
        answer = await world.daily(me)
        assert (answer.source, len(answer.matches)) == (source, 0)
        assert "answered everybody" in answer.message
    assert (await world.beyond(me)).recommendations


async def test_a_mutual_like_says_so(world: World) -> None:
    me, you = world.friends(2)
    await world.nights.whole([me, you], MORNING)
    (mine,), (yours,) = (await world.daily(me)).matches, (await world.daily(you)).matches

    assert "mutual" not in await world.act(me, mine, "like")
    assert "mutual" in await world.act(you, yours, "like")
    assert "mutual" in await world.act(me, mine, "like")


async def test_a_report_hides_both_at_once_and_for_good(world: World) -> None:
    people = world.friends(12)
    await world.nights.whole(people, MORNING)
    me = people[0]
    reported = (await world.daily(me)).matches[0]
    you = parse_user_id(reported.user_id)
    assert (await world.daily(you)).source == "cache"
    theirs = [*(await world.daily(you)).matches, *(await world.beyond(you)).recommendations]
    (me_to_you,) = [match for match in theirs if match.user_id == str(me)]

    await world.act(me, reported, "report")

    for user, other in ((me, you), (you, me)):
        for _ in ("database", "cache"):
            assert other not in ids_of((await world.daily(user)).matches)
            assert other not in ids_of((await world.beyond(user, 50)).recommendations)
        assert other not in ids_of((await world.on(user, MORNING.isoformat())).matches)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.act(you, me_to_you, "like")
    assert refusal(caught).code is ErrorCode.NOT_FOUND
    await world.nights.whole(people, date(2026, 4, 20))
    assert you not in ids_of((await world.daily(me)).matches)


async def test_history_shows_the_answered_too(world: World) -> None:
    people = world.friends(30)
    await world.nights.whole(people, MORNING)
    me = people[0]
    first = await world.daily(me)
    await world.act(me, first.matches[0], "like")

    answer = await world.on(me, "2026-03-03")

    assert answer.matches == first.matches
    assert (answer.count, answer.date, answer.success) == (10, "2026-03-03", True)
    for day in ("2026-03-02", "2026-12-24", "1999-01-01"):
        empty = await world.on(me, day)
        assert (empty.count, empty.date, empty.success) == (0, day, True)


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "yesterday", "", "2026-1-1"])
async def test_a_date_that_is_none(world: World, day: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.on(new_user_id(), day)

    assert refusal(caught).code is ErrorCode.INVALID_ARGUMENT
    assert [fault.field for fault in refusal(caught).fields] == ["date"]


@pytest.mark.parametrize("limit", [0, 51, 100_000, -1])
async def test_a_limit_that_is_none(world: World, limit: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.beyond(new_user_id(), limit)

    assert refusal(caught).code is ErrorCode.INVALID_ARGUMENT
    assert [fault.field for fault in refusal(caught).fields] == ["limit"]


async def test_matches_of_others_and_of_nobody(world: World) -> None:
    me, you = world.friends(2)
    await world.nights.whole([me, you], MORNING)
    (yours,) = (await world.daily(you)).matches

    for match in (yours, pb.Match(match_id=str(uuid4()))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.act(me, match, "like")
        assert refusal(caught).code is ErrorCode.NOT_FOUND
    for match_id, action, field in (("7", "like", "matchId"), (yours.match_id, "love", "action")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await world.act(me, pb.Match(match_id=match_id), action)
        assert [fault.field for fault in refusal(caught).fields] == [field]


async def test_nobody_without_a_token(world: World) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.stub.GetDailyMatches(pb.GetDailyMatchesRequest())

    assert refusal(caught).code is ErrorCode.UNAUTHENTICATED


async def test_the_short_way_says_the_same_wherever_it_is_from(world: World) -> None:
    people = world.friends(40)
    (stranger,) = world.people(1, seed=2, birth_year=None)
    world.active.extend(people)
    preview = daily_of(await world.short.daily(people[0], "") or b"")
    assert (preview.source, preview) == ("preview", await world.daily(people[0]))
    assert daily_of(await world.short.daily(stranger, "") or b"") == await world.daily(stranger)

    await world.nights.whole(people, MORNING)
    await world.cache.flushall()
    stored = daily_of(await world.short.daily(people[1], "") or b"")
    cached = daily_of(await world.short.daily(people[1], "") or b"")
    assert (stored.source, cached.source, len(stored.matches)) == ("database", "cache", 10)
    assert cached == await world.daily(people[1])
    stored.source = "cache"
    assert stored == cached

    await world.cache.flushall()
    for query, limit in (("limit=3", 3), ("limit=3", 3), ("", None)):
        short = await world.short.beyond(people[1], query)
        assert beyond_of(short or b"") == await world.beyond(people[1], limit)


async def test_what_has_no_answer_is_left_to_the_call(world: World) -> None:
    people = world.friends(12)
    await world.nights.whole(people, MORNING)
    assert await world.short.daily(people[0], "a=1") is None
    assert await world.short.beyond(people[0], "limit=51") is None
    await world.cache.flushall()
    world.town.away = True
    with pytest.raises(Unavailable):
        await world.short.daily(people[0], "")


async def test_a_list_grows_old(world: World) -> None:
    people = world.friends(40)
    await world.nights.whole(people, MORNING)
    await world.cache.flushall()

    world.at("2026-03-04T23:59:00")
    assert (await world.daily(people[0])).date == "2026-03-03"
    world.at("2026-03-05T07:00:00")
    later = await world.daily(people[0])
    assert (later.source, later.date) == ("preview", "2026-03-05")


async def test_dates_are_the_persons_own(world: World) -> None:
    tokyo = profile_pb2.Location(city="Tokyo", lat=35.7, lon=139.7, time_zone="Asia/Tokyo")
    (user,) = world.people(1, location=tokyo)
    # 2026-03-02 12:00 UTC is 21:00 there; ten hours later a night is over.
    assert (await world.daily(user)).date == "2026-03-02"
    world.at("2026-03-02T22:00:00")
    assert (await world.daily(user)).date == "2026-03-03"


async def test_without_accounts_only_the_cache_answers(world: World) -> None:
    people = world.friends(12)
    await world.nights.whole(people, MORNING)
    world.town.away = True

    assert (await world.daily(people[0])).source == "cache"
    await world.cache.flushall()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.daily(people[0])
    assert refusal(caught).code is ErrorCode.UNAVAILABLE


async def test_a_night_without_accounts_or_cache_is_kept_all_the_same(world: World) -> None:
    people = world.friends(12)
    await world.nights.run(JobKind.ANALYZE, people, MORNING)
    results = await world.nights.compute(JobKind.MATCH, people, MORNING)
    world.town.away = True
    await world.nights.keep(JobKind.MATCH, results)
    world.town.away = False

    assert (await world.daily(people[0])).source == "database"


class TestDeadCache:
    """Nothing listens where the cache should be."""

    @pytest.fixture
    async def cache_url(self, unused_tcp_port: int) -> str:
        return f"redis://127.0.0.1:{unused_tcp_port}"

    async def test_it_slows_and_fails_nothing(self, world: World) -> None:
        people = world.friends(12)
        await world.nights.whole(people, MORNING)
        me = people[0]

        first = await world.daily(me)
        assert (first.source, len(first.matches)) == ("database", 10)
        assert (await world.beyond(me)).recommendations
        await world.act(me, first.matches[0], "report")
        assert (await world.daily(me)).matches == first.matches[1:]
        # What it may still hold is forgotten as soon as it is back.
        waiting = await world.pool.fetch("SELECT user_id FROM matcher.cache_drops")
        assert {row["user_id"] for row in waiting} == {me, parse_user_id(first.matches[0].user_id)}
        lists = ValkeyLists(world.cache)
        owed = OwedDrops(world.pool, "matcher.cache_drops", lists.drop_owed, world.clock, 1)
        assert await owed.make_up() == 0
        assert await world.pool.fetchval("SELECT count(*) FROM matcher.cache_drops") == 2


async def test_a_database_that_is_away_is_no_fault_of_ours(world: World) -> None:
    (user,) = world.people(1)
    world.pool.terminate()
    for call in (world.daily(user), world.beyond(user), world.on(user, "2026-03-01")):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
