"""Who was last seen when: every store behaves like this."""

from __future__ import annotations

import asyncio
import time

import pytest

from eros_activity.domain.people import Counts, Interaction, Seen, Transition, TransitionKind
from eros_activity.ports import Continuity, StoreAway
from tests.ports.activity.stores import DAY, NOW, Stores, user, valkey_stores

ASLEEP, WOKE, FORGOTTEN = TransitionKind.ASLEEP, TransitionKind.WOKE, TransitionKind.FORGOTTEN
A, B, C = user(1), user(2), user(3)


def seen(who: bytes, at: float, wall: float = 0.0) -> Interaction:
    return Interaction(who, at, wall)  # type: ignore[arg-type]


async def test_first_sweep_begins_and_the_next_goes_on(stores: Stores) -> None:
    first = await stores.people.sweep(NOW)
    assert (first.continuity, first.unwatched_seconds) == (Continuity.NEW, None)
    assert first.watched_since == NOW
    second = await stores.people.sweep(NOW + 1)
    assert second.continuity is Continuity.SAME
    assert second.unwatched_seconds is not None
    assert 0 <= second.unwatched_seconds < 60
    assert second.watched_since == NOW
    assert second.epoch == first.epoch == (await stores.log.end()).epoch


async def test_sleep_and_wake(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    start = await stores.log.end()
    assert await stores.people.touch([seen(A, NOW), seen(B, NOW + 1)], NOW + 1) == set()
    assert (await stores.people.sweep(NOW + 599.9)).asleep == 0
    assert (await stores.people.sweep(NOW + 600)).asleep == 1
    assert await stores.since(start) == [Transition(A, ASLEEP, NOW)]

    slept = await stores.log.end()
    woke = await stores.people.touch([seen(A, NOW + 600.5, 77.25), seen(B, NOW + 600.5)], NOW + 601)
    assert woke == {A}
    assert await stores.since(slept) == [Transition(A, WOKE, NOW + 600.5, 77.25)]
    assert await stores.people.touch([seen(A, NOW + 602)], NOW + 602) == set()


async def test_last_seen_never_moves_back(stores: Stores) -> None:
    await stores.people.touch([seen(A, NOW)], NOW)
    await stores.people.touch([seen(A, NOW - 5)], NOW + 1)
    assert await stores.people.find(A) == Seen(NOW, NOW)
    assert await stores.people.touch([seen(A, NOW + 3), seen(A, NOW + 2)], NOW + 3) == set()
    assert await stores.people.find(A) == Seen(NOW + 3, NOW)


async def test_whoever_idles_before_the_sweep_noticed_does_not_wake(stores: Stores) -> None:
    await stores.people.touch([seen(A, NOW)], NOW)
    start = await stores.log.end()
    assert await stores.people.touch([seen(A, NOW + 700)], NOW + 700) == set()
    await stores.people.sweep(NOW + 701)
    assert await stores.since(start) == []


async def test_touch_in_the_past_seeds_a_sleeper(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    start = await stores.log.end()
    assert await stores.people.touch([seen(A, NOW - 7200), seen(B, NOW - 10)], NOW) == set()
    await stores.people.sweep(NOW + 1)
    assert await stores.since(start) == [Transition(A, ASLEEP, NOW - 7200)]
    assert await stores.people.find(A) == Seen(NOW - 7200, None)


async def test_a_later_seed_of_a_sleeper_announces_the_new_last_seen(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    await stores.people.touch([seen(A, NOW - 7200)], NOW)
    start = await stores.log.end()
    assert await stores.people.touch([seen(A, NOW - 3600)], NOW) == set()
    assert await stores.since(start) == [Transition(A, ASLEEP, NOW - 3600)]


async def test_sessions(stores: Stores) -> None:
    await stores.people.touch([seen(A, NOW)], NOW)
    await stores.people.touch([seen(A, NOW + 599)], NOW + 599)
    assert await stores.people.find(A) == Seen(NOW + 599, NOW)
    # After ten idle minutes the next touch begins another session, swept or not.
    await stores.people.touch([seen(A, NOW + 1199)], NOW + 1199)
    assert await stores.people.find(A) == Seen(NOW + 1199, NOW + 1199)
    await stores.people.sweep(NOW + 1799)
    assert await stores.people.find(A) == Seen(NOW + 1199, None)
    await stores.people.touch([seen(A, NOW + 1800)], NOW + 1800)
    assert await stores.people.find(A) == Seen(NOW + 1800, NOW + 1800)


async def test_unknown_people(stores: Stores) -> None:
    assert await stores.people.find(A) is None
    assert await stores.people.recent(10) == []
    assert await stores.people.counts(NOW) == Counts()
    assert (await stores.people.sleepers(None, 10)).sleepers == []


async def test_counts_by_phase(stores: Stores) -> None:
    ages = [0, 599, 600, 1799, 1800, 3599, 3600, DAY]
    await stores.people.touch([seen(user(i), NOW - age) for i, age in enumerate(ages)], NOW)
    counts = await stores.people.counts(NOW)
    assert counts == Counts(awake=2, phase1=2, phase2=2, phase3=2, open_sessions=2)
    assert counts.known == len(ages)


async def test_forgetting(stores: Stores) -> None:
    old, young = NOW - 30 * DAY, NOW - 30 * DAY + 1
    await stores.people.touch([seen(A, old), seen(B, young)], NOW)
    start = await stores.log.end()
    assert await stores.people.forget(NOW) == 1
    assert await stores.since(start) == [Transition(A, FORGOTTEN, old)]
    assert await stores.people.find(A) is None
    assert await stores.people.find(B) == Seen(young, None)
    assert await stores.people.forget(NOW) == 0
    assert await stores.people.touch([seen(A, NOW)], NOW) == set()


@pytest.mark.parametrize("limit", [1, 7, 5000])
async def test_sleepers_come_in_pages(stores: Stores, limit: int) -> None:
    await stores.people.sweep(NOW)
    # Many at the same instant: pages may end among them.
    asleep = {user(i): NOW - 3600 - (i % 3) for i in range(30)}
    await stores.people.touch([seen(u, at) for u, at in asleep.items()], NOW)
    await stores.people.touch([seen(user(99), NOW)], NOW)
    found: dict[bytes, float] = {}
    after: bytes | None = None
    pages = 0
    while True:
        page = await stores.people.sleepers(after, limit)
        assert len(page.sleepers) <= limit
        assert not found.keys() & {s.user for s in page.sleepers}
        found |= {s.user: s.at for s in page.sleepers}
        pages += 1
        after = page.next
        if after is None:
            break
    assert found == asleep
    assert pages >= 30 // limit


async def test_recent_people_newest_first(stores: Stores) -> None:
    await stores.people.touch([seen(user(i), NOW - i) for i in range(50)], NOW)
    assert await stores.people.recent(3) == [user(0), user(1), user(2)]
    assert len(await stores.people.recent(5000)) == 50


async def test_more_people_than_a_page_cross_at_one_instant(stores: Stores) -> None:
    many = [user(i) for i in range(4500)]
    await stores.people.sweep(NOW)
    await stores.people.touch([seen(u, NOW) for u in many], NOW)
    start = await stores.log.end()
    assert (await stores.people.sweep(NOW + 600)).asleep == len(many)
    events = await stores.since(start)
    assert sorted(t.user for t in events) == sorted(many)
    assert {t.kind for t in events} == {ASLEEP}
    # One who stood in the middle of them wakes and sleeps again like anybody.
    assert await stores.people.touch([seen(many[2000], NOW + 601)], NOW + 601) == {many[2000]}
    assert (await stores.people.sweep(NOW + 1201)).asleep == 1


async def test_replicas_that_sweep_at_once_announce_nobody_twice(stores: Stores) -> None:
    many = [user(i) for i in range(3000)]
    await stores.people.sweep(NOW)
    await stores.people.touch([seen(u, NOW + i / 10) for i, u in enumerate(many)], NOW + 300)
    start = await stores.log.end()
    swept = await asyncio.gather(*(stores.people.sweep(NOW + 700 + i) for i in range(8)))
    assert sum(s.asleep for s in swept) == 1071  # seen until 707 - 600 seconds
    events = await stores.since(start)
    assert sorted(t.user for t in events) == sorted(many[:1071])


async def test_night_clock_set_back(stores: Stores) -> None:
    later = NOW + 50_000
    await stores.people.touch([seen(A, later), seen(B, NOW - 50)], later)
    await stores.people.sweep(later)
    old = await stores.log.end()
    assert (await stores.people.sweep(NOW)).continuity is Continuity.SAME  # it is only late
    swept = await stores.people.sweep(NOW, starting=True)
    assert swept.continuity is Continuity.REWOUND
    assert swept.epoch != old.epoch
    assert await stores.people.find(A) == Seen(NOW, later)
    # Both are awake by the new time, and fall asleep by it.
    assert (await stores.people.sleepers(None, 10)).sleepers == []
    start = await stores.log.end()
    await stores.people.sweep(NOW + 555)
    assert await stores.since(start) == [Transition(B, ASLEEP, NOW - 50)]
    assert await stores.people.touch([seen(B, NOW + 556)], NOW + 556) == {B}


async def test_who_left_for_good_is_forgotten_and_heard_of_every_time(stores: Stores) -> None:
    await stores.people.touch([seen(A, NOW), seen(B, NOW)], NOW)
    start = await stores.log.end()
    assert await stores.people.erase([A, C], NOW + 1) == 1
    assert await stores.people.find(A) is None
    assert await stores.people.find(B) == Seen(NOW, NOW)
    told = await stores.since(start)
    assert {(t.user, t.kind, t.at) for t in told} == {
        (A, FORGOTTEN, NOW + 1),
        (C, FORGOTTEN, NOW + 1),
    }
    again = await stores.log.end()
    assert await stores.people.erase([A], NOW + 2) == 0
    assert [t.user for t in await stores.since(again)] == [A]
    assert (await stores.people.counts(NOW + 2)).awake == 1


async def test_a_clock_that_is_off_moves_no_mark(valkey_url: str) -> None:
    """Else nobody who is awake would get behind it, and none would wake, for as long."""
    off = 0.0
    async with valkey_stores(valkey_url, wall=lambda: time.time() + off) as stores:
        now = time.time()
        await stores.people.sweep(now, starting=True)
        await stores.people.touch([seen(A, now)], now)
        for off in (1200.0, -1200.0):
            with pytest.raises(StoreAway) as refused:
                await stores.people.sweep(now + off)
            assert f"{off:.0f} s ahead" in refused.value.why
        assert (await stores.people.sleepers(None, 10)).sleepers == []
        await stores.people.touch([seen(A, now + 30)], now + 30)
        off = 0.0
        assert (await stores.people.sweep(now + 60)).asleep == 0
