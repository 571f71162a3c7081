"""The sweep notices what happened to the store, and to itself."""

from __future__ import annotations

import pytest

from eros_activity.ports import Continuity, Swept
from tests.unit.activity.parts import INTERVAL, SWEEP, Parts, background, settle, user


async def pass_time(parts: Parts, seconds: float) -> None:
    for _ in range(round(seconds / SWEEP)):
        await parts.clock.slept()
        parts.clock.advance(SWEEP)
        await settle()


async def test_the_first_start_ever_pauses_nothing() -> None:
    parts = Parts.of()
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
        assert parts.keeper.watched_since == parts.now
        await pass_time(parts, 5)
    assert parts.lookout.pause is None


async def test_people_fall_asleep_by_the_night_clock() -> None:
    parts = Parts.of()
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
        await parts.people.touch([parts.seen(user(1))], parts.now)
        await pass_time(parts, 599)
        assert (await parts.people.sleepers(None, 10)).sleepers == []
        await pass_time(parts, 2)
        assert [s.user for s in (await parts.people.sleepers(None, 10)).sleepers] == [user(1)]


async def test_nobody_swept_for_a_while() -> None:
    parts = Parts.of()
    await parts.people.sweep(parts.now)
    parts.clock.advance(30)
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
    assert parts.pause_seconds == pytest.approx(INTERVAL + 30)


async def test_another_replica_swept_meanwhile() -> None:
    parts = Parts.of()
    for _ in range(30):
        await parts.people.sweep(parts.now)
        parts.clock.advance(1)
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
    assert parts.lookout.pause is None


async def test_a_store_that_is_away_for_long() -> None:
    parts = Parts.of()
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
        parts.people.away = True
        await pass_time(parts, 1)
        assert parts.lookout.pause is None
        await pass_time(parts, 5)
        assert parts.pause_seconds == pytest.approx(INTERVAL + 5, abs=1.5)
        parts.people.away = False
        await pass_time(parts, 1)
        assert parts.pause_seconds == pytest.approx(INTERVAL + 6, abs=1.5)


@pytest.mark.parametrize(
    ("continuity", "reason"),
    [
        (Continuity.RESTARTED, "restarted"),
        (Continuity.NEW, "empty"),
        (Continuity.SAME, "anew"),  # another replica, or a touch, noticed first
    ],
)
async def test_a_store_that_began_anew(
    monkeypatch: pytest.MonkeyPatch, continuity: Continuity, reason: str
) -> None:
    parts = Parts.of()
    async with background(parts.keeper.sweep):
        await parts.keeper.ready()
        generation = parts.hub.generation

        async def sweep(now: float, *, starting: bool) -> Swept:
            assert not starting
            return Swept(0, continuity, 77, now, 1.0)

        monkeypatch.setattr(parts.people, "sweep", sweep)
        await pass_time(parts, 2)
    assert parts.hub.generation == generation + 1
    pause = parts.lookout.active_pause()
    assert pause is not None
    assert reason in pause.reason


async def test_the_cleaner_forgets_and_survives_a_store_that_is_away() -> None:
    parts = Parts.of()
    await parts.seed(user(1), ago=31 * 86400.0)
    parts.people.away = True
    async with background(parts.keeper.clean):
        for away in (True, False):
            parts.people.away = away
            await parts.clock.slept()
            parts.clock.advance(300)
            await settle()
            assert (await parts.people.find(user(1)) is None) != away
