"""What a watcher is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from eros_activity.domain.people import TransitionKind, UserKey
from eros_activity.hub import Follower
from eros_activity.watching import Update
from eros_common.errors import Unavailable
from tests.unit.activity.parts import Parts, background, settle, updates_until, user

ASLEEP, WOKE = TransitionKind.ASLEEP, TransitionKind.WOKE


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    parts = Parts.of()
    await parts.people.sweep(parts.now)
    async with background(parts.hub.run, parts.lookout.run):
        await parts.hub.ready()
        yield parts


def people(updates: list[Update]) -> list[tuple[UserKey, TransitionKind]]:
    return [(t.user, t.kind) for update in updates for t in update.transitions]


async def snapshot(parts: Parts, cursor: str = "") -> tuple[AsyncIterator[Update], list[Update]]:
    stream = parts.watching.watch(cursor)
    return stream, await updates_until(stream, lambda update: update.snapshot_end)


async def test_a_snapshot_then_events(parts: Parts) -> None:
    await parts.seed(user(1), user(2))
    stream, told = await snapshot(parts)
    assert sorted(people(told)) == [(user(1), ASLEEP), (user(2), ASLEEP)]
    assert all(update.snapshot for update in told)
    await parts.people.touch([parts.seen(user(1))], parts.now)
    assert people(await updates_until(stream, lambda u: u.transitions)) == [(user(1), WOKE)]


async def test_an_empty_snapshot_ends_too(parts: Parts) -> None:
    _, told = await snapshot(parts)
    assert [(u.snapshot, u.snapshot_end, u.transitions) for u in told] == [(True, True, [])]


async def test_resuming_at_every_message_loses_and_doubles_nothing(parts: Parts) -> None:
    stream, told = await snapshot(parts)
    cursors = [told[-1].cursor]
    everything: list[tuple[UserKey, TransitionKind]] = []
    for i in range(30):
        await parts.seed(user(i))
        updates = await updates_until(stream, lambda u: u.transitions)
        everything += people(updates)
        cursors.append(updates[-1].cursor)
    for had, cursor in enumerate(cursors[:-1]):
        assert cursor is not None
        resumed = parts.watching.watch(cursor.encode())
        rest: list[tuple[UserKey, TransitionKind]] = []
        while len(rest) < len(everything) - had:
            rest += people(await updates_until(resumed, lambda u: u.transitions))
        assert rest == everything[had:]


async def test_a_cursor_no_longer_kept_gives_a_snapshot(parts: Parts) -> None:
    _, told = await snapshot(parts)
    old = told[-1].cursor
    assert old is not None
    for i in range(300):  # more than the log keeps
        await parts.seed(user(i))
    _, told = await snapshot(parts, old.encode())
    assert len({who for who, _ in people(told)}) == 300


async def test_a_watcher_that_fell_behind_the_memory_reads_the_store(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eros_activity.hub._KEPT_TRANSITIONS", 5)
    follower = Follower(parts.hub, parts.hub.position)
    for i in range(50):
        await parts.seed(user(i))
        await settle()
    assert len(parts.hub.entries) <= 10
    found: list[UserKey] = []
    while entries := await follower.next(0.01):
        found += [t.user for entry in entries for t in entry.transitions]
    assert found == [user(i) for i in range(50)]


async def test_whoever_wakes_during_a_snapshot_is_told_at_once_and_behind_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eros_activity.watching._PAGE", 2)
    await parts.seed(*(user(i) for i in range(6)))
    await settle()
    stream = parts.watching.watch("")
    await anext(stream)
    await parts.people.touch([parts.seen(user(0)), parts.seen(user(5))], parts.now)
    await settle()
    told = await updates_until(stream, lambda u: u.snapshot_end)
    woke = [u for u in told if not u.snapshot and u.transitions]
    assert set(people(woke)) == {(user(0), WOKE), (user(5), WOKE)}
    assert all(u.cursor is None for u in told[:-1])
    behind = await updates_until(stream, lambda u: u.transitions)
    assert set(people(behind)) == {(user(0), WOKE), (user(5), WOKE)}
    # Whoever applies all of it in order ends with the truth.
    asleep = {user(i) for i in range(6)}
    for who, kind in people([*told, *behind]):
        (asleep.add if kind is ASLEEP else asleep.discard)(who)
    assert asleep == {user(i) for i in range(1, 5)}


async def test_quiet_is_told_from_silence(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eros_activity.watching.KEEPALIVE_SECONDS", 0.005)
    stream, told = await snapshot(parts)
    for _ in range(3):
        update = await anext(stream)
        assert (update.transitions, update.cursor) == ([], told[-1].cursor)


async def test_a_pause_is_told_at_the_start_and_when_it_comes(parts: Parts) -> None:
    parts.lookout.blind(0.0, "first")
    stream, told = await snapshot(parts)
    assert told[0].pause == parts.lookout.pause
    assert [u for u in told[1:] if u.pause] == []
    parts.clock.advance(10)
    parts.lookout.blind(0.0, "second")
    [*_, update] = await updates_until(stream, lambda u: u.pause)
    assert update.pause is not None
    assert update.pause.reason == "second"


async def test_a_pause_that_is_over_is_not_told(parts: Parts) -> None:
    parts.lookout.blind(0.0, "over")
    parts.clock.advance(3600)
    _, told = await snapshot(parts)
    assert [u.pause for u in told if u.pause] == []


async def test_a_pause_of_another_replica_arrives_by_the_log(parts: Parts) -> None:
    other = Parts.of(parts)
    stream, _ = await snapshot(parts)
    async with background(other.lookout.run):
        other.lookout.blind(0.0, "elsewhere")
        [*_, update] = await updates_until(stream, lambda u: u.pause)
    assert update.pause == other.lookout.pause


async def test_when_the_log_begins_anew_every_watcher_comes_again(parts: Parts) -> None:
    await parts.seed(user(1))
    stream, told = await snapshot(parts)
    old = told[-1].cursor
    assert old is not None
    parts.clock.advance(-7200)
    await parts.people.sweep(parts.now, starting=True)  # the night clock was set back
    with pytest.raises(Unavailable):
        await updates_until(stream, lambda _: False)
    stream, told = await snapshot(parts, old.encode())
    assert told[-1].cursor is not None
    assert told[-1].cursor.epoch != old.epoch
    await parts.seed(user(2), ago=7200)
    assert people(await updates_until(stream, lambda u: u.transitions)) == [(user(2), ASLEEP)]


async def test_closing_ends_every_stream(parts: Parts) -> None:
    stream, _ = await snapshot(parts)
    rest = asyncio.create_task(_rest(stream))
    await settle()
    await parts.hub.close()
    await rest


async def _rest(stream: AsyncIterator[Update]) -> list[Update]:
    return [update async for update in stream]
