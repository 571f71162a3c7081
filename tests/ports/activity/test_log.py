"""The log of transitions and pauses: every store behaves like this."""

from __future__ import annotations

import asyncio
import time

import pytest

from eros_activity.domain.cursor import Cursor, CursorTooOld
from eros_activity.domain.people import Interaction, Transition
from eros_activity.domain.sight import Pause
from tests.ports.activity.stores import NOW, Stores, user, valkey_stores


async def asleep(stores: Stores, *numbers: int) -> None:
    """Adds one transition each, in an entry of its own."""
    for number in numbers:
        await stores.people.touch([Interaction(user(number), NOW - 3600, 0)], NOW)


async def test_reading_from_every_cursor_on_the_way_loses_and_doubles_nothing(
    stores: Stores,
) -> None:
    await stores.people.sweep(NOW)
    cursor = await stores.log.end()
    await asleep(stores, *range(20))
    everything = await stores.since(cursor)
    assert sorted(t.user for t in everything) == sorted(user(i) for i in range(20))
    had: list[Transition] = []
    while entries := await stores.log.read(cursor, 3):
        for entry in entries:
            cursor = cursor.advanced(entry.stream, entry.id)
            had += entry.transitions
            resumed = Cursor.decode(cursor.encode(), stores.log.streams)
            rest = await stores.since(resumed)
            assert sorted([*had, *rest], key=repr) == sorted(everything, key=repr)


async def test_waiting_ends_with_the_first_entry(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    cursor = await stores.log.end()
    assert await stores.log.wait(cursor, 0.01) == []
    waiting = asyncio.create_task(stores.log.wait(cursor, 30))
    while not waiting.done():
        await asleep(stores, 1)
        await asyncio.wait([waiting], timeout=0.05)
    [entry, *_] = await waiting
    assert [t.user for t in entry.transitions] == [user(1)]
    # What is there already is not waited for.
    assert await stores.log.wait(cursor, 30)


async def test_cursor_of_another_log_is_too_old(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    end = await stores.log.end()
    with pytest.raises(CursorTooOld):
        await stores.log.read(Cursor(end.epoch ^ 1, end.ids), 10)


async def test_pauses_are_in_the_log_and_only_ever_lengthen(stores: Stores) -> None:
    await stores.people.sweep(NOW)
    assert await stores.log.current_pause() is None
    cursor = await stores.log.end()
    long, short = Pause(200.5, "blind"), Pause(100.0, "a little")
    assert await stores.log.pause(long)
    assert not await stores.log.pause(short)
    assert not await stores.log.pause(long)
    assert await stores.log.current_pause() == long
    [entry] = await stores.log.read(cursor, 10)
    assert (entry.pause, entry.transitions) == (long, ())
    cursor = cursor.advanced(entry.stream, entry.id)
    assert await stores.log.read(cursor, 10) == []
    assert await stores.log.pause(Pause(300.0, "still blind"))
    assert await stores.log.current_pause() == Pause(300.0, "still blind")


async def test_a_pause_by_a_clock_that_is_ahead_is_as_long_as_pauses_are(valkey_url: str) -> None:
    async with valkey_stores(valkey_url, longest_pause=120.0) as stores:
        now = time.time()
        assert await stores.log.pause(Pause(now + 60, "a gap"))
        assert await stores.log.pause(Pause(now + 8 * 3600, "booted in local time"))
        known = await stores.log.current_pause()
    assert known is not None
    assert known.until == pytest.approx(now + 120, abs=5)
