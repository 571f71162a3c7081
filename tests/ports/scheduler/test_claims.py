"""Who is claimed: due, asleep long enough, in an open window; each once; kinds in order."""

from __future__ import annotations

from datetime import timedelta

from eros_common.ids import WorkerId
from eros_scheduler.ports import JobState
from tests.ports.scheduler.stores import (
    ANALYZE,
    BERLIN,
    DUE,
    MATCH,
    NEXT,
    NIGHT,
    SCORE,
    TOKYO,
    Stores,
)

MINUTE = timedelta(minutes=1)


async def test_new_people_are_served_by_idle_phase_alone(stores: Stores) -> None:
    people = await stores.asleep(3)
    noon = DUE + timedelta(minutes=10)
    assert await stores.claim(ANALYZE, night=noon - MINUTE, zones=()) == []
    rows = await stores.claim(ANALYZE, night=noon, zones=())
    assert {row.user_id for row in rows} == set(people)
    assert {(row.token > 0, row.zone, row.awake) for row in rows} == {(True, BERLIN, False)}
    assert all(row.solo_at <= DUE for row in rows)


async def test_whoever_was_matched_waits_for_the_window(stores: Stores) -> None:
    (one,) = await stores.served()
    assert await stores.claim(ANALYZE, zones=()) == []
    assert await stores.claim(ANALYZE, zones=(TOKYO,)) == []
    (row,) = await stores.claim(ANALYZE, zones=(TOKYO, BERLIN))
    assert row.user_id == one
    assert row.solo_at == DUE + timedelta(hours=23)


async def test_a_day_after_the_last_match_the_window_does_not_count(stores: Stores) -> None:
    await stores.served()
    matched_at = DUE - timedelta(hours=1)
    day = matched_at + timedelta(hours=24)
    assert await stores.claim(ANALYZE, night=day - MINUTE, zones=()) == []
    assert len(await stores.claim(ANALYZE, night=day, zones=())) == 1


async def test_each_kind_waits_for_its_idle_time(stores: Stores) -> None:
    people = await stores.asleep(since=DUE)
    for kind, minutes in ((ANALYZE, 10), (SCORE, 30), (MATCH, 60)):
        ripe = DUE + timedelta(minutes=minutes)
        assert await stores.claim(kind, night=ripe - MINUTE) == []
        rows = await stores.claim(kind, night=ripe)
        assert [row.user_id for row in rows] == people
        await stores.complete(rows)


async def test_nobody_awake_or_unheard_of_is_claimed(stores: Stores) -> None:
    await stores.due(2)
    (woken,) = await stores.asleep()
    await stores.wake([woken], NIGHT - MINUTE)
    assert await stores.claim(ANALYZE) == []


async def test_what_is_done_is_due_again_the_next_night(stores: Stores) -> None:
    await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    assert await stores.complete([row]) == {row.user_id}
    assert await stores.claim(ANALYZE, night=NEXT - MINUTE) == []
    (again,) = await stores.claim(ANALYZE, night=NEXT + timedelta(minutes=10))
    assert again.token > row.token


async def test_the_longest_ripe_comes_first_and_no_more_than_asked_for(stores: Stores) -> None:
    late = await stores.asleep(2, since=DUE + 2 * MINUTE)
    early = await stores.asleep(2, since=DUE + MINUTE)
    first = await stores.claim(ANALYZE, limit=3)
    assert {row.user_id for row in first} >= set(early)
    assert len(first) == 3
    second = await stores.claim(ANALYZE, limit=3)
    assert {row.user_id for row in (*first, *second)} == {*early, *late}


async def test_a_later_kind_waits_for_the_earlier_ones(stores: Stores) -> None:
    people = await stores.asleep(3)
    assert await stores.claim(MATCH) == []
    assert await stores.claim(SCORE) == []
    assert (await stores.row(people[0], MATCH)).state is JobState.WAITING
    rows = await stores.claim(ANALYZE)
    assert await stores.claim(SCORE) == []
    await stores.complete(rows[:2])
    scored = await stores.claim(SCORE)
    assert {row.user_id for row in scored} == {row.user_id for row in rows[:2]}
    await stores.complete(scored)
    assert {row.user_id for row in await stores.claim(MATCH)} == {r.user_id for r in rows[:2]}


async def test_blocked_rows_do_not_hide_free_ones(stores: Stores) -> None:
    blocked = await stores.asleep(30, since=DUE)
    free = await stores.asleep(5, since=DUE + MINUTE)
    rows = [row for row in await stores.claim(ANALYZE) if row.user_id in set(free)]
    await stores.complete(rows)
    scored = await stores.claim(SCORE, limit=5)
    assert {row.user_id for row in scored} == set(free)
    assert (await stores.row(blocked[0], SCORE)).state is JobState.WAITING


async def test_a_person_has_one_job_at_a_time(stores: Stores) -> None:
    (one,) = await stores.asleep()
    await stores.complete(await stores.claim(ANALYZE))
    (score,) = await stores.claim(SCORE)
    await stores.fences.mark_due([one], [BERLIN], ANALYZE, NIGHT)
    await stores.sleep([one], NIGHT)
    later = NIGHT + 15 * MINUTE
    assert await stores.claim(ANALYZE, night=later) == []
    await stores.fences.checkpoint([one], SCORE, [score.token], [b"here"], "woke")
    assert [row.user_id for row in await stores.claim(ANALYZE, night=later)] == [one]


async def test_the_dead_block_nobody(stores: Stores) -> None:
    (one,) = await stores.asleep()
    for _ in range(5):
        (row,) = await stores.claim(ANALYZE)
        await stores.fences.fail([one], ANALYZE, [row.token], ["no photo"])
        await stores.wait(7200)
        await stores.jobs.take_expired(limit=10)
    assert (await stores.row(one, ANALYZE)).state is JobState.DEAD
    assert [row.user_id for row in await stores.claim(SCORE)] == [one]


async def test_what_waits_comes_back_by_itself(stores: Stores) -> None:
    (one,) = await stores.asleep()
    assert await stores.claim(SCORE) == []
    await stores.wait(59)
    await stores.jobs.take_expired(limit=10)
    assert (await stores.row(one, SCORE)).state is JobState.WAITING
    await stores.wait(2)
    await stores.jobs.take_expired(limit=10)
    assert (await stores.row(one, SCORE)).state is JobState.QUEUED


async def test_expired_leases_are_taken_over_with_a_raised_fence(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (dead,) = await stores.claim(ANALYZE, owner=WorkerId("dead"), lease_seconds=30)
    await stores.wait(29)
    assert await stores.jobs.take_expired(limit=10) == []
    await stores.wait(2)
    (taken,) = await stores.jobs.take_expired(limit=10)
    assert (taken.owner, taken.job) == (WorkerId("dead"), dead.job)
    (row,) = await stores.claim(ANALYZE)
    assert row.user_id == one
    assert row.token > dead.token
    assert await stores.complete([dead]) == set()
    assert await stores.complete([row]) == {one}


async def test_renewed_leases_do_not_expire(stores: Stores) -> None:
    await stores.asleep(2)
    one, two = await stores.claim(ANALYZE, lease_seconds=30)
    await stores.fences.complete([two.user_id], ANALYZE, [two.token], [NEXT])
    await stores.wait(20)
    renewed = await stores.jobs.renew([one.job, two.job], lease_seconds=30)
    assert [row.job for row in renewed.rows] == [one.job]
    assert renewed.lease_until > 0
    await stores.wait(20)
    assert await stores.jobs.take_expired(limit=10) == []


async def test_released_rows_keep_their_checkpoint_and_lose_their_fence(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"half"], "woke")
    (row,) = await stores.claim(ANALYZE)
    assert await stores.kept(row) == b"half"
    await stores.jobs.release([row.job])
    assert await stores.complete([row]) == set()
    (again,) = await stores.claim(ANALYZE)
    assert await stores.kept(again) == b"half"


async def test_whoever_woke_often_is_claimed_once_and_by_the_last_sleep(stores: Stores) -> None:
    (one,) = await stores.asleep(since=DUE)
    for minutes in (5, 40, 90):
        await stores.wake([one], DUE + minutes * MINUTE)
        await stores.sleep([one], DUE + (minutes + 1) * MINUTE)
    ripe = DUE + 101 * MINUTE
    assert await stores.claim(ANALYZE, night=ripe - MINUTE) == []
    (row,) = await stores.claim(ANALYZE, night=ripe)
    assert row.user_id == one
    assert await stores.claim(ANALYZE, night=NIGHT) == []


async def test_whoever_moved_is_claimed_in_the_new_zone_only(stores: Stores) -> None:
    (one,) = await stores.served()
    await stores.fences.mark_due([one], [TOKYO], ANALYZE, DUE)
    assert await stores.claim(ANALYZE, zones=(BERLIN,)) == []
    (row,) = await stores.claim(ANALYZE, zones=(TOKYO,))
    assert (row.user_id, row.zone) == (one, TOKYO)


async def test_a_renewed_lease_is_not_taken_at_its_old_end(stores: Stores) -> None:
    await stores.asleep()
    (row,) = await stores.claim(ANALYZE, lease_seconds=30)
    await stores.wait(20)
    await stores.jobs.renew([row.job], lease_seconds=30)
    await stores.wait(20)
    assert await stores.jobs.take_expired(limit=10) == []
    await stores.wait(20)
    assert [taken.job for taken in await stores.jobs.take_expired(limit=10)] == [row.job]


async def test_once_matched_the_window_counts_for_what_was_done_before_the_match(
    stores: Stores,
) -> None:
    (one,) = await stores.asleep(since=DUE - timedelta(days=1))
    evening = DUE + timedelta(hours=1)
    for kind in (ANALYZE, SCORE):
        await stores.complete(await stores.claim(kind, night=evening, zones=()))
    # Awake between the score and the match, so that all of it falls asleep unmatched.
    await stores.wake([one], evening)
    await stores.sleep([one], evening + MINUTE)
    matched_at = evening + timedelta(hours=2)
    await stores.complete(await stores.claim(MATCH, night=matched_at, zones=()))
    await stores.complete(await stores.claim(ANALYZE, night=NEXT), NEXT + timedelta(days=1))
    assert await stores.claim(SCORE, night=NEXT, zones=()) == []
    (row,) = await stores.claim(SCORE, night=NEXT)
    assert row.solo_at == matched_at + timedelta(hours=24)


async def test_without_a_match_the_window_does_not_count_however_much_else_was_done(
    stores: Stores,
) -> None:
    (one,) = await stores.asleep(since=DUE - timedelta(hours=1))
    for kind in (ANALYZE, SCORE):
        await stores.complete(await stores.claim(kind, night=DUE, zones=()), DUE + MINUTE)
    # Due again before the match was made: the match is behind them.
    later = DUE + 2 * MINUTE
    assert await stores.claim(MATCH, night=later, zones=()) == []
    for kind in (ANALYZE, SCORE, MATCH):
        (row,) = await stores.claim(kind, night=later, zones=())
        assert row.user_id == one
        await stores.complete([row])
