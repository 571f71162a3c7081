"""The fence: nothing stale is ever written, a halt is no failure, errors back off and end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eros_common.ids import JobToken
from eros_scheduler.ports import JobState
from tests.ports.scheduler.stores import ANALYZE, BERLIN, DUE, MATCH, NIGHT, SCORE, TOKYO, Stores


async def test_a_stale_token_does_nothing(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"half"], "woke")
    (row,) = await stores.claim(ANALYZE)
    for token in (row.token - 1, row.token + 1, 0):
        stale = [JobToken(token)]
        assert await stores.fences.hold([one], ANALYZE, stale) == {}
        assert await stores.fences.checkpoint([one], ANALYZE, stale, [b"x"], "woke") == {}
        assert await stores.fences.checkpoints([one], ANALYZE, stale) == {}
        assert await stores.fences.complete([one], ANALYZE, stale, [DUE]) == set()
        assert await stores.fences.fail([one], ANALYZE, stale, ["no"]) == {}
    assert await stores.fences.hold([one], SCORE, [row.token]) == {}
    assert await stores.fences.hold([one], ANALYZE, [row.token]) == {one: row.token}
    view = await stores.row(one, ANALYZE)
    assert (view.state, view.token, view.has_checkpoint) == (JobState.LEASED, row.token, True)
    assert await stores.kept(row) == b"half"


async def test_a_halt_is_no_failed_attempt(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    raised = await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"half"], "woke")
    assert raised == {one: row.token + 1}
    view = await stores.row(one, ANALYZE)
    assert (view.state, view.attempts, view.owner) == (JobState.QUEUED, 0, None)
    assert view.lease_until is None
    assert await stores.complete([row]) == set()
    (again,) = await stores.claim(ANALYZE)
    assert await stores.kept(again) == b"half"
    assert again.token > row.token + 1


async def test_of_a_batch_only_the_live_ones_are_touched(stores: Stores) -> None:
    await stores.asleep(3)
    one, two, three = await stores.claim(ANALYZE)
    await stores.fences.checkpoint([two.user_id], ANALYZE, [two.token], [None], "woke")
    users = [three.user_id, two.user_id, one.user_id]
    tokens = [three.token, two.token, one.token]
    held = await stores.fences.hold(users, ANALYZE, tokens)
    assert held == {one.user_id: one.token, three.user_id: three.token}
    assert await stores.complete([one, two, three]) == {one.user_id, three.user_id}


async def test_completing_forgets_checkpoint_and_attempts(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.fail([one], ANALYZE, [row.token], ["no"])
    await stores.wait(60)
    await stores.jobs.take_expired(limit=10)
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"half"], "woke")
    (row,) = await stores.claim(ANALYZE)
    assert (await stores.row(one, ANALYZE)).attempts == 1
    await stores.complete([row])
    view = await stores.row(one, ANALYZE)
    assert (view.attempts, view.has_checkpoint, view.last_error) == (0, False, None)


async def test_failures_back_off_twice_as_long_each_time_and_then_are_dead(
    stores: Stores,
) -> None:
    (one,) = await stores.asleep()
    for attempt in range(4):
        (row,) = await stores.claim(ANALYZE)
        assert await stores.kept(row) is None
        assert await stores.fences.fail([one], ANALYZE, [row.token], ["no photo"]) == {one: False}
        longest = 30 * 2**attempt * 1.25
        await stores.wait(longest * 0.59)
        await stores.jobs.take_expired(limit=10)
        assert await stores.claim(ANALYZE) == []
        await stores.wait(longest * 0.42)
        await stores.jobs.take_expired(limit=10)
    (row,) = await stores.claim(ANALYZE)
    assert await stores.fences.fail([one], ANALYZE, [row.token], ["no photo"]) == {one: True}
    view = await stores.row(one, ANALYZE)
    assert (view.state, view.attempts, view.last_error) == (JobState.DEAD, 5, "no photo")
    await stores.wait(10_000)
    await stores.jobs.take_expired(limit=10)
    assert await stores.claim(ANALYZE) == []


async def test_a_changed_profile_brings_the_dead_back(stores: Stores) -> None:
    (one,) = await stores.asleep()
    for _ in range(5):
        (row,) = await stores.claim(ANALYZE)
        await stores.fences.fail([one], ANALYZE, [row.token], ["no"])
        await stores.wait(7200)
        await stores.jobs.take_expired(limit=10)
    await stores.fences.mark_due([one], [BERLIN], ANALYZE, NIGHT)
    (row,) = await stores.claim(ANALYZE)
    assert row.user_id == one
    assert (await stores.row(one, ANALYZE)).attempts == 0


async def test_a_changed_profile_fences_what_runs_and_its_checkpoint(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"old"], "woke")
    (row,) = await stores.claim(ANALYZE)
    await stores.fences.mark_due([one], [BERLIN], ANALYZE, NIGHT)
    assert await stores.complete([row]) == set()
    (again,) = await stores.claim(ANALYZE)
    assert await stores.kept(again) is None
    assert again.token > row.token


async def test_marking_moves_only_the_kind_named(stores: Stores) -> None:
    (one,) = await stores.served()
    for kind in (ANALYZE, SCORE, MATCH):
        await stores.complete(await stores.claim(kind), NIGHT + timedelta(hours=20))
    await stores.fences.mark_due([one], [BERLIN], MATCH, NIGHT)
    assert await stores.claim(ANALYZE) == []
    assert [row.user_id for row in await stores.claim(MATCH)] == [one]


async def test_marking_never_makes_a_job_due_later(stores: Stores) -> None:
    (one,) = await stores.due(at=DUE)
    await stores.fences.mark_due([one], [BERLIN], ANALYZE, NIGHT)
    assert (await stores.row(one, ANALYZE)).due_at == DUE


async def test_a_new_zone_is_taken_over_by_every_row(stores: Stores) -> None:
    (one,) = await stores.served()
    await stores.fences.mark_due([one], [TOKYO], ANALYZE, NIGHT)
    assert {(await stores.row(one, kind)).zone for kind in (ANALYZE, SCORE, MATCH)} == {TOKYO}
    assert await stores.claim(ANALYZE, zones=(BERLIN,)) == []
    assert len(await stores.claim(ANALYZE, zones=(TOKYO,))) == 1
    assert set(await stores.jobs.zones()) == {BERLIN, TOKYO}


async def test_only_kinds_that_people_have_can_be_due(stores: Stores) -> None:
    with pytest.raises(Exception, match="no such kind of job"):
        await stores.due(kind=5)  # type: ignore[arg-type]
