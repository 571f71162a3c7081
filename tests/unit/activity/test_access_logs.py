"""Lost entries and logs that nobody reads mean a pause."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from eros_activity.access_logs import AccessLogs, Reader
from eros_activity.domain.gaps import Source
from tests.unit.activity.parts import INTERVAL, SILENCE, Parts, background, settle, user

ONE = Source("boot", "w1")
REORDER = 1.0


class Replica:
    """One replica's access logs, with the tasks it runs."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.logs = AccessLogs(
            parts.sources,
            parts.touches,
            parts.lookout,
            parts.clock,
            reorder_seconds=REORDER,
            silence_seconds=SILENCE,
        )

    @property
    def reason(self) -> str:
        pause = self.parts.lookout.active_pause()
        return "" if pause is None else pause.reason


@pytest.fixture
async def replica() -> AsyncIterator[Replica]:
    replica = Replica(Parts.of())
    async with background(replica.logs.watch, replica.parts.touches.run):
        yield replica


async def pass_time(parts: Parts, seconds: float) -> None:
    for _ in range(round(seconds / 0.5)):
        await settle()
        parts.clock.advance(0.5)
        await settle()


async def read(reader: Reader, *numbers: int) -> None:
    await reader.take([], {ONE: numbers})


async def test_entries_touch_and_nothing_is_missing(replica: Replica) -> None:
    parts = replica.parts
    await parts.seed(user(1))
    async with replica.logs.reading() as reader:
        await reader.take([parts.seen(user(1))], {ONE: [2, 1]})
        await pass_time(parts, 30)
    assert await parts.people.recent(1) == [user(1)]
    assert parts.lookout.pause is None


async def test_a_missing_entry(replica: Replica) -> None:
    async with replica.logs.reading() as reader:
        await read(reader, 1, 2, 5)
        await pass_time(replica.parts, 0.5)
        assert replica.reason == ""
        await pass_time(replica.parts, 1.5)
        assert "2 access-log entries" in replica.reason
        assert replica.parts.pause_seconds == pytest.approx(INTERVAL + REORDER, abs=1.5)


async def test_a_source_first_heard_of_in_the_middle(replica: Replica) -> None:
    async with replica.logs.reading() as reader:
        await read(reader, 7)
        await pass_time(replica.parts, 2)
    assert "6 access-log entries" in replica.reason


async def test_a_stream_that_ends_without_a_successor(replica: Replica) -> None:
    async with replica.logs.reading() as reader:
        await read(reader, 1)
        await pass_time(replica.parts, 20)
        assert replica.reason == ""
    await pass_time(replica.parts, SILENCE - 1)
    assert replica.reason == ""
    await pass_time(replica.parts, 2)
    assert "nobody reads" in replica.reason
    # Once is enough; should it come back, it is continued.
    pause = replica.parts.lookout.pause
    await pass_time(replica.parts, 20)
    assert replica.parts.lookout.pause == pause


async def test_a_successor_in_time_goes_on(replica: Replica) -> None:
    async with replica.logs.reading() as reader:
        await read(reader, 1, 2)
    await pass_time(replica.parts, 1)
    async with replica.logs.reading() as reader:
        await read(reader, 3)
        await pass_time(replica.parts, 20)
    assert replica.reason == ""


async def test_a_successor_that_lost_some(replica: Replica) -> None:
    async with replica.logs.reading() as reader:
        await read(reader, 1, 2)
    async with replica.logs.reading() as reader:
        await read(reader, 4)
        await pass_time(replica.parts, 2)
    assert "1 access-log entries" in replica.reason


async def test_a_successor_before_the_end_was_noticed(replica: Replica) -> None:
    async with replica.logs.reading() as successor:
        async with replica.logs.reading() as reader:
            await read(reader, 1, 2)
            await read(successor, 3)
        await pass_time(replica.parts, 20)
        await read(successor, 4)
        await pass_time(replica.parts, 5)
    assert replica.reason == ""


async def test_a_successor_at_another_replica(replica: Replica) -> None:
    other = Replica(Parts.of(replica.parts))
    running = background(other.logs.watch, other.parts.touches.run)
    async with running, other.logs.reading() as successor:
        async with replica.logs.reading() as reader:
            await read(reader, 1, 2)
            # The register does not know of these yet, so the successor misses them…
            await read(successor, 3)
        # …until the first one's end.
        await pass_time(replica.parts, 20)
    assert other.reason == ""
    assert replica.reason == ""


async def test_a_replica_that_dies_is_noticed_by_another(replica: Replica) -> None:
    other = Replica(Parts.of(replica.parts))
    async with background(other.parts.touches.run), other.logs.reading() as reader:
        await read(reader, 1)
        await other.parts.sources.save({ONE: 1})
        # The other one does not watch: it stands still.
        await pass_time(replica.parts, SILENCE + 1)
        assert "nobody reads" in replica.reason


async def test_a_source_is_left_to_another_replica_until_the_pause_for_it_is_stored() -> None:
    first = Replica(Parts.of())
    parts = first.parts
    await parts.sources.save({ONE: 1})
    parts.log.away = True
    async with background(first.logs.watch, parts.lookout.run):
        await pass_time(parts, SILENCE + 1)
        assert "nobody reads" in first.reason
    parts.log.away = False
    second = Replica(Parts.of(parts))
    async with background(second.logs.watch):
        await pass_time(parts, 1)
    assert "nobody reads" in second.reason
    assert await parts.log.current_pause() == second.parts.lookout.pause
    # And nobody pauses for it once more.
    assert await parts.sources.find([ONE]) == {}


async def test_a_store_that_is_away_holds_the_stream_up(replica: Replica) -> None:
    parts = replica.parts
    parts.people.away = True

    async def stream() -> None:
        async with replica.logs.reading() as reader:
            for number in range(1, 100):
                await reader.take([parts.seen(user(number))], {ONE: [number]})

    reading = asyncio.create_task(stream())
    await pass_time(parts, 2)
    assert not reading.done()
    parts.people.away = False
    await pass_time(parts, 2)
    await reading
    assert len(await parts.people.recent(100)) == 99
    assert await parts.sources.find([ONE]) == {ONE: 99}


async def test_what_arrived_before_a_stream_broke_off_counts_as_seen(replica: Replica) -> None:
    parts = replica.parts
    parts.people.away = True

    async def stream() -> None:
        async with replica.logs.reading() as reader:
            await reader.take([parts.seen(user(1))], {ONE: [1, 2]})
            await asyncio.Event().wait()

    reading = asyncio.create_task(stream())
    await pass_time(parts, 0.5)
    reading.cancel()
    parts.people.away = False
    await pass_time(parts, 1)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await parts.sources.find([ONE]) == {ONE: 2}


async def test_closing_ends_a_stream_in_order(replica: Replica) -> None:
    async def stream() -> str:
        async with replica.logs.reading() as reader:
            await read(reader, 1)
            await asyncio.Event().wait()
        return "ended"

    reading = asyncio.create_task(stream())
    await settle()
    await replica.logs.close()
    assert await reading == "ended"
    assert await replica.parts.sources.find([ONE]) == {ONE: 1}


async def test_a_stream_that_is_cut_off_twice_is_not_read_for_ever(replica: Replica) -> None:
    """The second time while the first one waits for the store."""
    parts = replica.parts
    parts.people.away = True

    async def stream() -> None:
        async with replica.logs.reading() as reader:
            await reader.take([parts.seen(user(1))], {ONE: [1]})
            await asyncio.Event().wait()

    reading = asyncio.create_task(stream())
    await settle()
    for _ in range(2):
        reading.cancel()
        await settle()
    with pytest.raises(asyncio.CancelledError):
        await reading
    parts.people.away = False
    await pass_time(parts, SILENCE + 2)
    assert "nobody reads" in replica.reason


async def test_an_end_that_could_not_be_saved_is_saved_later(replica: Replica) -> None:
    parts = replica.parts
    async with replica.logs.reading() as reader:
        await read(reader, 1)
        parts.sources.away = True
    parts.sources.away = False
    await pass_time(parts, 1)
    assert await parts.sources.find([ONE]) == {ONE: 1}
    await pass_time(parts, SILENCE + 1)
    assert "nobody reads" in replica.reason
