"""Mutual likes, blocks, keys and leaving, on a real database."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from eros_common.errors import InvalidArgument
from eros_common.idempotency import Once
from eros_common.ids import UserId
from eros_matcher.domain.actions import Action
from eros_matcher.domain.lists import match_id
from eros_matcher.domain.mutual import After, parse_token
from eros_matcher.store_actions import PostgresActions
from eros_matcher.store_erasures import PostgresErasures
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_relations import PostgresRelations
from tests.ports.matcher.lists import NOW, TODAY, a_list, person
from tests.ports.matcher.test_actions import NotedCache
from tests.ports.matcher.test_lists import write

ME = person(1)
OTHERS = [person(number) for number in range(2, 9)]
YOU = OTHERS[0]


@pytest.fixture
def cache() -> NotedCache:
    return NotedCache()


@pytest.fixture
async def actions(pool: asyncpg.Pool, cache: NotedCache) -> PostgresActions:
    await write(pool, daily=[a_list(ME, OTHERS), *(a_list(other, [ME]) for other in OTHERS)])
    return PostgresActions(pool, cache)


@pytest.fixture
def relations(pool: asyncpg.Pool, cache: NotedCache) -> PostgresRelations:
    return PostgresRelations(pool, cache)


async def like(actions: PostgresActions, user: UserId, other: UserId, minutes: int = 0) -> None:
    at = NOW + timedelta(minutes=minutes)
    await actions.act(user, match_id(user, other, TODAY), Action.LIKE, at, at)


async def test_mutual_likes_come_page_by_page_the_latest_first(
    actions: PostgresActions, relations: PostgresRelations
) -> None:
    for minutes, other in enumerate(OTHERS):
        await like(actions, ME, other)
        if other is not OTHERS[-1]:
            await like(actions, other, ME, minutes)
    seen: list[UserId] = []
    after: After | None = None
    while page := await relations.mutual(ME, after, 2):
        seen += [pair.other_id for pair in page]
        assert all(pair.match_id == match_id(ME, pair.other_id, TODAY) for pair in page)
        after = parse_token(page[-1].token)
        assert after == After(page[-1].since, page[-1].other_id)
    assert seen == OTHERS[-2::-1]
    assert [pair.other_id for pair in await relations.mutual(YOU, None, 10)] == [ME]


@pytest.mark.parametrize("token", ["", "x", "AAAA", "AAAA****", "é"])
def test_what_is_no_page_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is no page token"):
        parse_token(token)


async def test_a_block_hides_both_until_it_is_taken_back(
    pool: asyncpg.Pool, actions: PostgresActions, relations: PostgresRelations, cache: NotedCache
) -> None:
    lists = PostgresLists(pool)
    await like(actions, ME, YOU)
    await like(actions, YOU, ME)
    cache.dropped.clear()
    for _ in range(2):
        await relations.block(ME, YOU, NOW)
    assert set(cache.dropped) == {ME, YOU}
    assert await lists.hidden([(ME, YOU), (YOU, ME)]) == {(ME, YOU), (YOU, ME)}
    assert await relations.mutual(YOU, None, 10) == []
    assert not await relations.unblock(YOU, ME)
    assert await lists.hidden([(ME, YOU)])
    assert await relations.unblock(ME, YOU)
    assert await lists.hidden([(ME, YOU), (YOU, ME)]) == set()
    assert len(await relations.mutual(YOU, None, 10)) == 1


async def test_the_others_block_and_a_report_stay(
    pool: asyncpg.Pool, actions: PostgresActions, relations: PostgresRelations
) -> None:
    lists, third = PostgresLists(pool), OTHERS[1]
    await relations.block(ME, YOU, NOW)
    await relations.block(YOU, ME, NOW)
    await relations.unblock(ME, YOU)
    assert await lists.hidden([(ME, YOU), (YOU, ME)]) == {(ME, YOU), (YOU, ME)}
    await actions.act(third, match_id(third, ME, TODAY), Action.REPORT, NOW, NOW)
    await relations.block(third, ME, NOW)
    await relations.unblock(third, ME)
    assert await lists.hidden([(ME, third), (third, ME)]) == {(ME, third), (third, ME)}


async def test_a_late_retry_by_its_key_changes_nothing(
    pool: asyncpg.Pool, actions: PostgresActions
) -> None:
    match, once = match_id(ME, YOU, TODAY), Once(b"k" * 32, b"r" * 32)
    await like(actions, YOU, ME)
    first = await actions.act(ME, match, Action.LIKE, NOW, NOW, once)
    assert first.mutual
    await actions.act(ME, match, Action.SKIP, NOW, NOW)
    assert await actions.act(ME, match, Action.LIKE, NOW, NOW, once) == first
    decided = "SELECT action FROM matcher.decisions WHERE user_id = $1 AND other_id = $2"
    assert await pool.fetchval(decided, ME, YOU) == Action.SKIP
    with pytest.raises(InvalidArgument, match="another request"):
        await actions.act(ME, match, Action.SKIP, NOW, NOW, Once(once.key, b"s" * 32))
    await actions.forget_answers(NOW + timedelta(seconds=1))
    await actions.act(ME, match, Action.LIKE, NOW, NOW, once)
    assert await pool.fetchval(decided, ME, YOU) == Action.LIKE


async def test_an_action_makes_analysis_due(
    pool: asyncpg.Pool, postgres_url: str, actions: PostgresActions
) -> None:
    await pool.execute("SELECT scheduler.mark_due($1, $2, 1::smallint, $3)", [ME], ["UTC"], NOW)
    admin = await asyncpg.connect(postgres_url)
    try:
        later = NOW + timedelta(days=1)
        await admin.execute("UPDATE scheduler.jobs SET due_at = $1 WHERE kind = 1", later)
        await like(actions, ME, YOU, minutes=7)
        due = await admin.fetchrow("SELECT due_at, zone FROM scheduler.jobs WHERE kind = 1")
        assert due is not None
        assert tuple(due) == (NOW + timedelta(minutes=7), "UTC")
    finally:
        await admin.close()


async def test_who_leaves_is_in_nobodys_lists_and_rows(
    pool: asyncpg.Pool, postgres_url: str, actions: PostgresActions, cache: NotedCache
) -> None:
    await write(pool, beyond=[a_list(OTHERS[2], [OTHERS[1], ME, YOU]), a_list(ME, [YOU])])
    await like(actions, ME, YOU)
    await like(actions, YOU, ME)
    await PostgresRelations(pool, cache).block(OTHERS[1], ME, NOW)
    admin = await asyncpg.connect(postgres_url)
    try:
        exported = await admin.fetchval("SELECT matcher.export($1)::text", ME)
        assert all(part in exported for part in ("like", str(YOU), "2026-03-02"))
        await admin.execute("SELECT matcher.forget($1)", [ME])
        erasures = PostgresErasures(pool, cache)
        cache.dropped.clear()
        assert await erasures.sweep() == 1
        assert {OTHERS[2], YOU} <= set(cache.dropped)
        assert await erasures.sweep() == 0
        assert await erasures.sweep(again_seconds=0) == 1
        for table in ("matches", "decisions", "actions", "hidden", "blocks", "answered"):
            rows = await admin.fetch(f"SELECT t::text AS row FROM matcher.{table} t")  # noqa: S608
            assert not [row for row in rows if str(ME) in row["row"]], table
        beyond = await admin.fetch("SELECT * FROM matcher.recommendations")
        assert [(row["user_id"], row["others"]) for row in beyond] == [
            (OTHERS[2], [OTHERS[1], YOU])
        ]
        assert {len(beyond[0][name]) for name in ("scores", "distances", "reasons")} == {2}
        # The note itself stays for a month.
        left = "SELECT count(*) FROM matcher.erasures WHERE finished_at IS NULL"
        assert await admin.fetchval(left) == 0
    finally:
        await admin.close()
