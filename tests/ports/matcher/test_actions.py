from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from eros_common.errors import InvalidArgument, NotFound
from eros_common.idempotency import Once
from eros_common.ids import UserId
from eros_common.postgres_drops import OwedDrops
from eros_common.testing import FakeClock
from eros_matcher.domain.actions import Action, Outcome
from eros_matcher.domain.lists import match_id
from eros_matcher.ports import ListKind
from eros_matcher.store_actions import PostgresActions
from tests.ports.matcher.lists import NOW, TODAY, a_list, person
from tests.ports.matcher.test_lists import write

ME, YOU, THEM = map(person, (1, 2, 3))
MINE = match_id(ME, YOU, TODAY)
YOURS = match_id(YOU, ME, TODAY)


class NotedCache:
    """Notes what is dropped; `alive` is whether it answers."""

    def __init__(self) -> None:
        self.alive = True
        self.dropped: list[UserId] = []

    async def get(self, kind: ListKind, user: UserId) -> bytes | None:
        raise AssertionError("nothing is read here")

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        raise AssertionError("nothing is kept here")

    async def drop(self, users: Iterable[UserId]) -> bool:
        if self.alive:
            self.dropped += users
        return self.alive

    async def drop_owed(self, rows: Iterable[asyncpg.Record]) -> bool:
        return await self.drop(row["user_id"] for row in rows)


@pytest.fixture
def cache() -> NotedCache:
    return NotedCache()


@pytest.fixture
async def actions(pool: asyncpg.Pool, cache: NotedCache) -> PostgresActions:
    await write(pool, daily=[a_list(ME, [YOU, THEM]), a_list(YOU, [ME])])
    return PostgresActions(pool, cache)


async def log_of(pool: asyncpg.Pool) -> list[tuple[UserId, Action]]:
    rows = await pool.fetch("SELECT user_id, action FROM matcher.actions ORDER BY id")
    return [(row["user_id"], Action(row["action"])) for row in rows]


async def test_another_action_replaces_and_a_repeat_changes_nothing(
    pool: asyncpg.Pool, actions: PostgresActions, cache: NotedCache
) -> None:
    for action in (Action.LIKE, Action.LIKE, Action.VIEW, Action.SKIP, Action.VIEW, Action.LIKE):
        assert await actions.act(ME, MINE, action, NOW, NOW) == Outcome(action, mutual=False)

    assert [action for _, action in await log_of(pool)] == [
        Action.LIKE,
        Action.VIEW,
        Action.SKIP,
        Action.LIKE,
    ]
    decisions = await pool.fetch("SELECT * FROM matcher.decisions")
    assert [tuple(row) for row in decisions] == [(ME, YOU, Action.LIKE, NOW)]
    assert cache.dropped == [ME, ME, ME]


async def test_a_repeat_under_its_key_has_no_effect_whatever_was_done_since(
    pool: asyncpg.Pool, actions: PostgresActions, postgres_url: str
) -> None:
    admin = await asyncpg.connect(postgres_url)
    try:
        await pool.execute(
            "SELECT scheduler.mark_due($1::uuid[], '{UTC}', 1::smallint, $2)", [ME], NOW
        )
        once = Once(b"k" * 32, b"r" * 32)
        first = await actions.act(ME, MINE, Action.LIKE, NOW, NOW, once)
        # Analysis went on since, and failed twice.
        later = NOW + timedelta(hours=1)
        await admin.execute("UPDATE scheduler.jobs SET attempts = 2, due_at = $1", later)
        jobs = await admin.fetch("SELECT * FROM scheduler.jobs ORDER BY kind")

        assert await actions.act(ME, MINE, Action.LIKE, NOW, NOW, once) == first
        assert await admin.fetch("SELECT * FROM scheduler.jobs ORDER BY kind") == jobs
        # Even if the other has left and is on no list any more.
        await pool.execute("DELETE FROM matcher.matches")
        assert await actions.act(ME, MINE, Action.LIKE, NOW, NOW, once) == first
        with pytest.raises(InvalidArgument):
            await actions.act(ME, MINE, Action.SKIP, NOW, NOW, Once(once.key, b"s" * 32))
        assert len(await log_of(pool)) == 1
    finally:
        await admin.close()


async def test_of_two_repeats_at_the_same_moment_one_acts(
    pool: asyncpg.Pool, actions: PostgresActions
) -> None:
    for number in range(10):
        once = Once(bytes([number]) * 32, b"r" * 32)
        await pool.execute("DELETE FROM matcher.decisions")
        one, two = await asyncio.gather(
            *(actions.act(ME, MINE, Action.LIKE, NOW, NOW, once) for _ in range(2))
        )
        assert one == two
        assert len(await log_of(pool)) == number + 1


async def test_a_view_decides_nothing(
    pool: asyncpg.Pool, actions: PostgresActions, cache: NotedCache
) -> None:
    await actions.act(ME, MINE, Action.VIEW, NOW, NOW)

    assert not await pool.fetch("SELECT * FROM matcher.decisions")
    assert not cache.dropped


async def test_a_mutual_like_says_so_to_whoever_is_second(actions: PostgresActions) -> None:
    assert not (await actions.act(ME, MINE, Action.LIKE, NOW, NOW)).mutual
    assert (await actions.act(YOU, YOURS, Action.LIKE, NOW, NOW)).mutual
    assert (await actions.act(ME, MINE, Action.LIKE, NOW, NOW)).mutual
    assert "mutual" in (await actions.act(ME, MINE, Action.LIKE, NOW, NOW)).message()


async def test_of_two_likes_at_the_same_moment_one_is_mutual(
    pool: asyncpg.Pool, actions: PostgresActions
) -> None:
    for _ in range(10):
        await pool.execute("DELETE FROM matcher.decisions")
        outcomes = await asyncio.gather(
            actions.act(ME, MINE, Action.LIKE, NOW, NOW),
            actions.act(YOU, YOURS, Action.LIKE, NOW, NOW),
        )
        assert sorted(outcome.mutual for outcome in outcomes) == [False, True]


async def test_a_report_hides_both_from_each_other(
    pool: asyncpg.Pool, actions: PostgresActions, cache: NotedCache
) -> None:
    await actions.act(ME, MINE, Action.REPORT, NOW, NOW)

    hidden = await pool.fetch("SELECT user_id, other_id FROM matcher.hidden")
    assert {tuple(row) for row in hidden} == {(ME, YOU), (YOU, ME)}
    assert set(cache.dropped) == {ME, YOU}
    # Again changes nothing; anything else, from either side, is about nobody.
    await actions.act(ME, MINE, Action.REPORT, NOW, NOW)
    assert len(await log_of(pool)) == 1
    for user, match, action in ((ME, MINE, Action.LIKE), (YOU, YOURS, Action.REPORT)):
        with pytest.raises(NotFound):
            await actions.act(user, match, action, NOW, NOW)


async def test_a_match_is_ones_own(actions: PostgresActions) -> None:
    for match in (YOURS, uuid4()):
        with pytest.raises(NotFound):
            await actions.act(ME, match, Action.LIKE, NOW, NOW)


async def test_recommended_people_are_matches_too(
    pool: asyncpg.Pool, actions: PostgresActions
) -> None:
    yesterday = TODAY - timedelta(days=1)
    await write(pool, beyond=[a_list(THEM, [ME, YOU], day=yesterday)])
    await write(pool, beyond=[a_list(THEM, [YOU])])

    await actions.act(THEM, match_id(THEM, YOU, TODAY), Action.SKIP, NOW, NOW)
    await actions.act(THEM, match_id(THEM, ME, yesterday), Action.LIKE, NOW, NOW)

    decisions = await pool.fetch("SELECT other_id FROM matcher.decisions WHERE user_id = $1", THEM)
    assert {row["other_id"] for row in decisions} == {ME, YOU}
    with pytest.raises(NotFound):
        await actions.act(THEM, match_id(THEM, ME, TODAY), Action.LIKE, NOW, NOW)


async def test_lists_that_a_dead_cache_could_not_forget_are_dropped_later(
    actions: PostgresActions, pool: asyncpg.Pool, cache: NotedCache
) -> None:
    owed = OwedDrops(pool, "matcher.cache_drops", cache.drop_owed, FakeClock(), 1)
    cache.alive = False
    await actions.act(ME, MINE, Action.REPORT, NOW, NOW)
    assert await owed.make_up() == 0

    cache.alive = True
    assert await owed.make_up() == 2
    assert set(cache.dropped) == {ME, YOU}
    assert await owed.make_up() == 0


async def test_the_log_of_actions_is_append_only(pool: asyncpg.Pool) -> None:
    for statement in ("DELETE FROM matcher.actions", "UPDATE matcher.actions SET action = 1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.execute(statement)


async def test_a_decision_may_be_changed_when_the_list_is_forgotten(
    pool: asyncpg.Pool, actions: PostgresActions
) -> None:
    """A mutual match is told by its own id for as long as it lasts."""
    await actions.act(ME, MINE, Action.LIKE, NOW, NOW)
    await pool.execute("DELETE FROM matcher.matches")
    outcome = await actions.act(ME, MINE, Action.SKIP, NOW, NOW)
    assert outcome == Outcome(Action.SKIP, mutual=False)
    # Of whom nothing was said, nobody knows any more; and nobody else's id is one's own.
    for user, match in ((ME, match_id(ME, THEM, TODAY)), (YOU, MINE)):
        with pytest.raises(NotFound):
            await actions.act(user, match, Action.LIKE, NOW, NOW)
