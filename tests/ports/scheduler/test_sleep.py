"""Who sleeps, as the job rows have it: late, doubled and missing news included."""

from __future__ import annotations

from datetime import timedelta

from eros_common.phases import Phase
from eros_scheduler.core.model import OwnedJob, Transition, TransitionKind
from tests.ports.scheduler.stores import (
    ANALYZE,
    BERLIN,
    DUE,
    MATCH,
    NIGHT,
    SCORE,
    TOKYO,
    WORKER,
    Stores,
    person,
)

MINUTE = timedelta(minutes=1)


async def test_waking_names_what_is_leased(stores: Stores) -> None:
    one, two = await stores.asleep(2)
    rows = await stores.claim(ANALYZE)
    held = next(row for row in rows if row.user_id == one)
    await stores.complete([row for row in rows if row.user_id == two])
    assert await stores.wake([one, two], NIGHT) == [OwnedJob(held.job, WORKER)]
    # Another replica hears the same.
    assert await stores.wake([one, two], NIGHT) == [OwnedJob(held.job, WORKER)]
    assert (await stores.row(two, MATCH)).asleep_since is None


async def test_a_checkpoint_of_somebody_awake_is_not_claimed(stores: Stores) -> None:
    (one,) = await stores.asleep()
    (row,) = await stores.claim(ANALYZE)
    await stores.wake([one], NIGHT)
    await stores.fences.checkpoint([one], ANALYZE, [row.token], [b"x"], "woke")
    assert await stores.claim(ANALYZE, night=NIGHT + timedelta(hours=5)) == []
    await stores.sleep([one], NIGHT)
    # Halted at once, but it is gone on with only after the whole idle time.
    assert await stores.claim(ANALYZE, night=NIGHT + 9 * MINUTE) == []
    assert len(await stores.claim(ANALYZE, night=NIGHT + 10 * MINUTE)) == 1


async def test_late_news_change_nothing(stores: Stores) -> None:
    (one,) = await stores.asleep(since=DUE)
    await stores.wake([one], DUE + 5 * MINUTE)
    # A replica that lags only now hears that they fell asleep.
    await stores.sleep([one], DUE)
    assert await stores.claim(ANALYZE) == []
    await stores.sleep([one], DUE + 5 * MINUTE)
    # And that they woke, though they sleep again.
    await stores.wake([one], DUE + 5 * MINUTE)
    assert (await stores.row(one, ANALYZE)).asleep_since == DUE + 5 * MINUTE


async def test_order_does_not_matter_when_the_wake_comes_first(stores: Stores) -> None:
    (one,) = await stores.due()
    await stores.wake([one], DUE + MINUTE)
    await stores.sleep([one], DUE)
    assert (await stores.row(one, ANALYZE)).asleep_since is None


async def test_strangers_are_nobody(stores: Stores) -> None:
    stranger = person(999)
    await stores.sleep([stranger], DUE)
    assert await stores.wake([stranger], NIGHT) == []


async def test_a_snapshot_levels_everything(stores: Stores) -> None:
    stays, wakes, falls = await stores.asleep(3)
    await stores.wake([falls], DUE + MINUTE)
    rows = await stores.claim(ANALYZE)
    async with stores.jobs.snapshot() as snapshot:
        await snapshot.add([Transition(stays, TransitionKind.ASLEEP, DUE)])
        await snapshot.add([Transition(falls, TransitionKind.ASLEEP, DUE + 2 * MINUTE)])
        (awake,) = await snapshot.finish()
    assert awake.job.user_id == wakes
    assert awake.owner == WORKER
    assert {row.user_id for row in rows} == {stays, wakes}
    since = [(await stores.row(user, MATCH)).asleep_since for user in (stays, wakes, falls)]
    assert since == [DUE, None, DUE + 2 * MINUTE]


async def test_snapshots_can_follow_each_other_and_break_off(stores: Stores) -> None:
    (one,) = await stores.asleep()
    for _ in range(2):
        async with stores.jobs.snapshot() as snapshot:
            await snapshot.add([Transition(one, TransitionKind.ASLEEP, DUE)])
    assert (await stores.row(one, MATCH)).asleep_since == DUE
    async with stores.jobs.snapshot() as snapshot:
        await snapshot.finish()
    assert (await stores.row(one, MATCH)).asleep_since is None


async def test_sleeping_people_are_counted_by_the_phase_their_work_may_run_in(
    stores: Stores,
) -> None:
    await stores.served(4)
    await stores.asleep(2, since=NIGHT - 31 * MINUTE)
    await stores.due(7)
    # Those matched today obey the window; the new ones their idle phase.
    counts = await stores.jobs.counts(night=NIGHT, caps={BERLIN: Phase.FIRST}, over={})
    assert counts.sleepers == {Phase.FIRST: 4, Phase.SECOND: 2}
    assert counts.kinds[ANALYZE].ready == 6
    assert counts.kinds[SCORE].ready == 2
    counts = await stores.jobs.counts(night=NIGHT, caps={}, over={})
    assert counts.sleepers == {Phase.AWAKE: 4, Phase.SECOND: 2}


async def test_who_slept_is_expected_to_be_matched_in_the_morning(stores: Stores) -> None:
    over_at = DUE + timedelta(hours=8)
    noon = over_at + timedelta(hours=5)
    matched = await stores.served(2)
    for kind in (ANALYZE, SCORE, MATCH):
        assert set(await stores.complete(await stores.claim(kind))) == set(matched)
    await stores.wake(matched[:1], over_at + timedelta(hours=1))
    # Slept in vain: one still does, one has got up.
    _, early = await stores.asleep(2, since=DUE)
    await stores.wake([early], over_at + MINUTE)
    # Up until the morning, or gone to bed so late that nothing could be done any more.
    await stores.wake(await stores.asleep(since=DUE - timedelta(hours=1)), over_at - MINUTE)
    await stores.asleep(since=over_at - 10 * MINUTE)
    # Not seen for weeks, never seen, new since then, and where it is still night.
    await stores.wake(await stores.due(), over_at - timedelta(days=31))
    await stores.due()
    await stores.wake(await stores.due(at=over_at + MINUTE), over_at + MINUTE)
    await stores.asleep(2, zone=TOKYO)
    counts = await stores.jobs.counts(night=noon, caps={}, over={BERLIN: over_at})
    assert (counts.day_people, counts.day_ready) == (4, 2)
    # At night nobody is expected to be done.
    counts = await stores.jobs.counts(night=NIGHT, caps={BERLIN: Phase.THIRD}, over={})
    assert (counts.day_people, counts.day_ready) == (0, 0)


async def test_running_and_dead_are_counted(stores: Stores) -> None:
    one, two = await stores.asleep(2)
    await stores.claim(ANALYZE)
    for _ in range(5):
        row = await stores.row(one, ANALYZE)
        await stores.fences.fail([one], ANALYZE, [row.token], ["broken"])
        await stores.wait(7200)
        await stores.jobs.take_expired(limit=10)
        await stores.claim(ANALYZE, limit=10)
    kind = (await stores.jobs.counts(night=NIGHT, caps={}, over={})).kinds[ANALYZE]
    assert (kind.ready, kind.running, kind.dead) == (0, 1, 1)
    assert (await stores.row(two, ANALYZE)).owner == WORKER


async def test_zones_are_known_once_used(stores: Stores) -> None:
    await stores.due(3)
    assert list(await stores.jobs.zones()) == [BERLIN]


async def test_whoever_counts_as_awake_and_was_not_heard_of_is_found(stores: Stores) -> None:
    asleep, woke = await stores.asleep(2)
    (never,) = await stores.due()
    await stores.wake([woke], NIGHT)
    assert list(await stores.jobs.unheard(NIGHT - MINUTE)) == [never]
    assert set(await stores.jobs.unheard(NIGHT + MINUTE)) == {never, woke}
    assert asleep not in await stores.jobs.unheard(NIGHT + MINUTE)


async def test_late_news_of_a_sleep_do_not_undo_a_snapshot(stores: Stores) -> None:
    one, two, other = await stores.asleep(3)
    later = DUE + 30 * MINUTE
    async with stores.jobs.snapshot() as snapshot:
        await stores.sleep([two], later)
        await snapshot.add([Transition(other, TransitionKind.ASLEEP, DUE + 10 * MINUTE)])
        await snapshot.finish()
    # They woke since: whoever still writes that they fell asleep then is behind the times.
    await stores.sleep([one], DUE)
    assert (await stores.row(one, MATCH)).asleep_since is None
    # This one fell asleep while the snapshot was made; the stream tells of it behind the snapshot.
    await stores.sleep([two], later)
    assert (await stores.row(two, MATCH)).asleep_since == later
    await stores.sleep([one], later)
    assert (await stores.row(one, MATCH)).asleep_since == later
