"""Signs of life share a write, and none is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from eros_activity.domain.people import Interaction, UserKey
from eros_activity.touching import Touches
from eros_common.errors import Unavailable
from tests.unit.activity.parts import INTERVAL, Parts, background, settle, user

LONG = 30.0


async def test_a_touch_is_in_the_store_when_it_returns() -> None:
    parts = Parts.of()
    await parts.seed(user(1))
    async with background(parts.touches.run):
        assert await parts.touches.apply([parts.seen(user(1))], patience_seconds=LONG) == {user(1)}
    assert (await parts.people.recent(1)) == [user(1)]


async def test_what_comes_during_a_write_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts.of()
    gate = asyncio.Event()
    touch = parts.people.touch

    async def slow(batch: Sequence[Interaction], now: float) -> set[UserKey]:
        await gate.wait()
        return await touch(batch, now)

    monkeypatch.setattr(parts.people, "touch", slow)
    async with background(parts.touches.run):
        calls = [
            asyncio.create_task(parts.touches.apply([parts.seen(user(0))], patience_seconds=LONG))
        ]
        await settle()
        calls += [
            asyncio.create_task(parts.touches.apply([parts.seen(user(i))], patience_seconds=LONG))
            for i in (1, 2, 3)
        ]
        await settle()
        gate.set()
        await asyncio.gather(*calls)
    assert [[t.user for t in batch] for batch in parts.people.touched] == [
        [user(0)],
        [user(1), user(2), user(3)],
    ]


async def test_in_one_batch_the_latest_counts_and_the_first_arrival() -> None:
    parts = Parts.of()
    early = Interaction(user(1), 10.0, 5.0)
    late = Interaction(user(1), 20.0, 6.0)
    async with background(parts.touches.run):
        await parts.touches.apply([late, early], patience_seconds=LONG)
        await parts.touches.apply([early, late], patience_seconds=LONG)
    assert parts.people.touched == [[Interaction(user(1), 20.0, 5.0)]] * 2


async def test_a_store_that_is_away_is_asked_until_it_is_back() -> None:
    parts = Parts.of()
    await parts.seed(user(1))
    parts.people.away = True
    async with background(parts.touches.run):
        with pytest.raises(Unavailable):
            await parts.touches.apply([parts.seen(user(1))], patience_seconds=0.01)
        waiting = asyncio.create_task(
            parts.touches.apply([parts.seen(user(2))], patience_seconds=LONG)
        )
        for _ in range(10):
            await parts.clock.slept()
            parts.clock.advance(0.5)
            await settle()
        assert parts.pause_seconds == pytest.approx(INTERVAL + 4.5, abs=1.5)
        parts.people.away = False
        await parts.clock.slept()
        parts.clock.advance(0.5)
        await waiting
    # Nobody waited for the first one any more; it is written all the same.
    assert set(await parts.people.recent(2)) == {user(1), user(2)}


async def test_a_cancelled_caller_takes_nothing_with_it() -> None:
    parts = Parts.of()
    parts.people.away = True
    async with background(parts.touches.run):
        first = asyncio.create_task(
            parts.touches.apply([parts.seen(user(1))], patience_seconds=LONG)
        )
        await parts.clock.slept()
        second = asyncio.create_task(
            parts.touches.apply([parts.seen(user(2))], patience_seconds=LONG)
        )
        await settle()
        first.cancel()
        second.cancel()
        parts.people.away = False
        parts.clock.advance(1)
        await parts.touches.apply([parts.seen(user(3))], patience_seconds=LONG)
    assert set(await parts.people.recent(3)) == {user(1), user(2), user(3)}


async def test_what_comes_soon_after_a_write_began_shares_the_next() -> None:
    parts = Parts.of()
    touches = Touches(parts.people, parts.lookout, parts.clock, gathered_seconds=1.0)
    async with background(touches.run):
        for number in range(3):
            touches.submit([parts.seen(user(number))])
            await settle()
        # The first waited for nobody.
        assert [len(batch) for batch in parts.people.touched] == [1]
        parts.clock.advance(1.0)
        await settle()
        assert [len(batch) for batch in parts.people.touched] == [1, 2]
        parts.clock.advance(5.0)
        touches.submit([parts.seen(user(3))])
        await settle()
        assert [len(batch) for batch in parts.people.touched] == [1, 2, 1]
