"""prepare follows each match, once; learn is nobody's, one at a time, and only in the window."""

from __future__ import annotations

from datetime import timedelta

from eros_common.ids import WorkerId
from eros_common.phases import Phase
from eros_scheduler.core.model import ANYWHERE
from eros_scheduler.ports import JobState
from tests.ports.scheduler.stores import (
    ANALYZE,
    BERLIN,
    DUE,
    LEARN,
    MATCH,
    NEXT,
    NIGHT,
    PREPARE,
    SCORE,
    Stores,
    person,
)

DAY = timedelta(days=1)


async def _match(stores: Stores) -> None:
    for kind in (ANALYZE, SCORE, MATCH):
        await stores.complete(await stores.claim(kind))


async def test_prepare_is_due_once_the_match_of_the_night_is_done(stores: Stores) -> None:
    (one,) = await stores.asleep()
    for kind in (ANALYZE, SCORE, MATCH):
        assert await stores.claim(PREPARE) == []
        assert (await stores.row(one, PREPARE)).state is JobState.QUEUED, "not even set aside"
        await stores.complete(await stores.claim(kind))
    assert (await stores.row(one, PREPARE)).due_at == NIGHT
    (row,) = await stores.claim(PREPARE)
    assert row.user_id == one
    assert await stores.complete([row]) == {one}
    assert (await stores.row(one, PREPARE)).due_at is None
    assert await stores.claim(PREPARE, night=NIGHT + 30 * DAY) == []


async def test_prepare_is_done_every_night(stores: Stores) -> None:
    (one,) = await stores.asleep()
    await _match(stores)
    await stores.complete(await stores.claim(PREPARE))
    next_night = NIGHT + DAY
    for kind in (ANALYZE, SCORE, MATCH):
        await stores.complete(await stores.claim(kind, night=next_night), NEXT + DAY)
    assert (await stores.row(one, PREPARE)).due_at == next_night
    assert len(await stores.claim(PREPARE, night=next_night)) == 1


async def test_what_was_not_prepared_waits_for_the_next_match(stores: Stores) -> None:
    (one,) = await stores.asleep()
    await _match(stores)
    assert await stores.claim(PREPARE, night=NIGHT + DAY) == []
    assert (await stores.row(one, PREPARE)).state is JobState.WAITING
    for kind in (ANALYZE, SCORE, MATCH):
        await stores.complete(await stores.claim(kind, night=NIGHT + DAY), NEXT + DAY)
    assert len(await stores.claim(PREPARE, night=NIGHT + DAY)) == 1


async def test_a_halted_match_prepares_nothing(stores: Stores) -> None:
    (one,) = await stores.asleep()
    for kind in (ANALYZE, SCORE):
        await stores.complete(await stores.claim(kind))
    (row,) = await stores.claim(MATCH)
    await stores.fences.checkpoint([one], MATCH, [row.token], [b"half"], "woke")
    assert await stores.complete([row]) == set()
    assert (await stores.row(one, PREPARE)).due_at is None


async def test_prepare_sleeps_and_wakes_with_its_person(stores: Stores) -> None:
    (one,) = await stores.asleep()
    await _match(stores)
    await stores.wake([one], NIGHT)
    assert await stores.claim(PREPARE) == []
    await stores.sleep([one], NIGHT)
    assert await stores.claim(PREPARE, night=NIGHT + timedelta(minutes=59)) == []
    assert len(await stores.claim(PREPARE, night=NIGHT + timedelta(minutes=60))) == 1


async def test_a_learner_is_leased_once_and_only_in_the_window(stores: Stores) -> None:
    await stores.fences.add_learner(0)
    await stores.fences.add_learner(0)
    assert ANYWHERE in await stores.jobs.zones()
    assert await stores.claim(LEARN, zones=()) == []
    assert await stores.claim(LEARN, zones=(BERLIN,)) == []
    (row,) = await stores.claim(LEARN, zones=(ANYWHERE,))
    assert (row.user_id, row.awake) == (person(0), False)
    assert await stores.claim(LEARN, zones=(ANYWHERE,), owner=WorkerId("w-2")) == []


async def test_a_learner_goes_on_where_it_was_and_is_due_again_the_next_night(
    stores: Stores,
) -> None:
    await stores.fences.add_learner(0)
    zones = (ANYWHERE,)
    (row,) = await stores.claim(LEARN, zones=zones)
    # Of 70,000 people; no message may be as large.
    half = bytes(5_000_000)
    await stores.fences.checkpoint([person(0)], LEARN, [row.token], [half], "yielded")
    (row,) = await stores.claim(LEARN, zones=zones)
    assert await stores.kept(row) == half
    assert await stores.complete([row]) == {person(0)}
    assert await stores.claim(LEARN, zones=zones) == []
    # Even a day later only in the window: nobody waits for it.
    assert await stores.claim(LEARN, night=NEXT + 3 * DAY, zones=()) == []
    assert len(await stores.claim(LEARN, night=NEXT, zones=zones)) == 1


async def test_a_frozen_learner_is_taken_over_and_cannot_write(stores: Stores) -> None:
    await stores.fences.add_learner(0)
    zones = (ANYWHERE,)
    (frozen,) = await stores.claim(LEARN, zones=zones)
    await stores.wait(31)
    assert [owned.job for owned in await stores.jobs.take_expired(limit=10)] == [frozen.job]
    (other,) = await stores.claim(LEARN, zones=zones, owner=WorkerId("w-2"))
    assert other.token > frozen.token
    assert await stores.fences.hold([person(0)], LEARN, [frozen.token]) == {}
    assert await stores.complete([frozen]) == set()
    assert await stores.complete([other]) == {person(0)}


async def test_learners_are_apart(stores: Stores) -> None:
    await stores.fences.add_learner(0)
    await stores.fences.add_learner(1)
    rows = await stores.claim(LEARN, zones=(ANYWHERE,))
    assert {row.user_id for row in rows} == {person(0), person(1)}


async def test_a_learner_never_counts_as_somebody(stores: Stores) -> None:
    await stores.fences.add_learner(0)
    async with stores.jobs.snapshot() as snapshot:
        assert await snapshot.finish() == []
    assert await stores.jobs.unheard(NIGHT) == []
    counts = await stores.jobs.counts(night=NIGHT, caps={ANYWHERE: Phase.THIRD}, over={})
    assert counts.sleepers == {}
    assert counts.kinds[LEARN].ready == 1
    assert await stores.jobs.asleep_share() == 0.0
    assert len(await stores.claim(LEARN, zones=(ANYWHERE,))) == 1


async def test_the_share_of_people_asleep(stores: Stores) -> None:
    assert await stores.jobs.asleep_share() == 0.0
    await stores.due(3)
    (woken,) = await stores.asleep()
    await stores.asleep(2)
    await stores.wake([woken], DUE + timedelta(minutes=1))
    assert await stores.jobs.asleep_share() == 2 / 6
