from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg

from eros_matcher.domain.lists import Source
from eros_matcher.ports import CurrentLists, HeldLists, ListKind
from eros_matcher.store_lists import PostgresLists, forget_older, write_beyond, write_daily
from eros_matcher.store_locks import lock_alone
from tests.ports.matcher.lists import NOW, TODAY, a_list, person

ME, YOU, THEM, FOURTH, LEFT = map(person, (1, 2, 3, 4, 5))
YESTERDAY = TODAY - timedelta(days=1)


async def write(pool: asyncpg.Pool, *, daily: list = [], beyond: list = []) -> None:  # type: ignore[type-arg]  # noqa: B006
    async with pool.acquire() as connection, connection.transaction():
        await write_daily(connection, daily)
        await write_beyond(connection, beyond)


async def test_the_newest_lists_are_current_as_they_were_written(pool: asyncpg.Pool) -> None:
    daily = a_list(ME, [YOU, THEM])
    beyond = a_list(ME, [FOURTH, YOU, THEM], source=Source.SCORE)
    await write(
        pool,
        daily=[a_list(ME, [FOURTH], day=YESTERDAY), daily, a_list(YOU, [ME], day=YESTERDAY)],
        beyond=[a_list(ME, [], day=YESTERDAY), beyond],
    )
    lists = PostgresLists(pool)

    found = await lists.current([ME, YOU, THEM], YESTERDAY)

    assert found[ME] == CurrentLists(daily, beyond)
    assert found[YOU].daily == a_list(YOU, [ME], day=YESTERDAY)
    assert found[THEM] == CurrentLists()
    assert (await lists.current([YOU], TODAY))[YOU].daily is None


async def test_lists_of_long_ago_are_forgotten_when_newer_ones_are_made(pool: asyncpg.Pool) -> None:
    days = [TODAY - timedelta(days=ago) for ago in (0, 1, 60, 61, 90)]
    await write(pool, daily=[a_list(ME, [YOU, THEM], day=day) for day in days])
    await write(pool, daily=[a_list(YOU, [ME], day=day) for day in days[2:]])
    async with pool.acquire() as connection, connection.transaction():
        await forget_older(connection, [a_list(ME, [YOU, THEM])], 60)
    rows = await pool.fetch("SELECT user_id, list_date FROM matcher.matches ORDER BY list_date")
    # Whoever got no list keeps theirs: there are none to come.
    assert {row["list_date"] for row in rows if row["user_id"] == ME} == set(days[:3])
    assert {row["list_date"] for row in rows if row["user_id"] == YOU} == set(days[2:])


async def test_the_newest_lists_are_told_by_their_stamps(pool: asyncpg.Pool) -> None:
    await write(
        pool,
        daily=[a_list(ME, [FOURTH], day=YESTERDAY), a_list(ME, [YOU, THEM])],
        beyond=[a_list(ME, [THEM], day=YESTERDAY), a_list(YOU, [ME], day=YESTERDAY)],
    )
    lists = PostgresLists(pool)
    async with lists.held([ME, YOU, THEM], YESTERDAY, []) as held:
        assert held.stamps == {
            (ListKind.DAILY, ME): (TODAY, NOW),
            (ListKind.BEYOND, ME): (YESTERDAY, NOW),
            (ListKind.BEYOND, YOU): (YESTERDAY, NOW),
        }
        assert not held.gone
    async with lists.held([ME, YOU], TODAY, []) as held:
        assert held.stamps.keys() == {(ListKind.DAILY, ME)}
    found = {kind: await lists.newest(kind, ME, YESTERDAY) for kind in ListKind}
    assert found == {
        ListKind.DAILY: a_list(ME, [YOU, THEM]),
        ListKind.BEYOND: a_list(ME, [THEM], day=YESTERDAY),
    }
    assert await lists.newest(ListKind.DAILY, THEM, YESTERDAY) is None
    assert await lists.newest(ListKind.BEYOND, ME, TODAY) is None


async def test_writing_again_replaces_the_list_of_the_day(pool: asyncpg.Pool) -> None:
    await write(pool, daily=[a_list(ME, [YOU, THEM])], beyond=[a_list(ME, [FOURTH])])
    await write(pool, daily=[a_list(ME, [FOURTH])], beyond=[a_list(ME, [])])
    lists = PostgresLists(pool)

    found = (await lists.current([ME], TODAY))[ME]

    assert found.daily == a_list(ME, [FOURTH])
    assert found.beyond == a_list(ME, [])
    assert await lists.daily_on(ME, TODAY) == found.daily
    assert await lists.daily_on(ME, YESTERDAY) is None


async def test_recommendations_stay_for_one_more_day(pool: asyncpg.Pool) -> None:
    for days in (3, 2, 1, 0):
        await write(pool, beyond=[a_list(ME, [YOU], day=TODAY - timedelta(days=days))])

    kept = await pool.fetch("SELECT list_date FROM matcher.recommendations ORDER BY list_date")

    assert [row["list_date"] for row in kept] == [YESTERDAY, TODAY]


async def test_a_preview_never_takes_a_lists_place(pool: asyncpg.Pool) -> None:
    lists = PostgresLists(pool)
    daily, beyond = (a_list(ME, [one], source=Source.PREVIEW) for one in (YOU, THEM))

    assert await lists.keep_preview(daily, beyond) == CurrentLists(daily, beyond)
    again = a_list(ME, [FOURTH], source=Source.PREVIEW)
    assert await lists.keep_preview(again, again) == CurrentLists(daily, beyond)

    newer = a_list(YOU, [ME], day=TODAY + timedelta(days=1))
    await write(pool, daily=[newer])
    mine = a_list(YOU, [THEM], source=Source.PREVIEW)
    assert await lists.keep_preview(mine, mine) == CurrentLists(newer, mine)


async def test_hidden_and_gone_are_told_by_direction(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "INSERT INTO matcher.hidden VALUES ($1, $2, 2, $4), ($2, $1, 2, $4), ($1, $3, 1, $4)",
        *(ME, YOU, THEM, NOW),
    )
    await pool.execute("INSERT INTO matcher.decisions VALUES ($1, $2, 1, $3)", ME, FOURTH, NOW)
    lists = PostgresLists(pool)
    pairs = [(ME, YOU), (YOU, ME), (ME, THEM), (THEM, ME), (ME, FOURTH), (FOURTH, ME)]

    assert await lists.hidden(pairs) == {(ME, YOU), (YOU, ME), (ME, THEM)}
    await pool.execute("INSERT INTO matcher.erasures (user_id) VALUES ($1)", LEFT)
    async with lists.held([ME], TODAY, [*pairs, (YOU, LEFT)]) as held:
        assert held.gone == {(ME, YOU), (YOU, ME), (ME, THEM), (ME, FOURTH), (YOU, LEFT)}


async def test_copiers_share_and_writers_wait(pool: asyncpg.Pool) -> None:
    lists = PostgresLists(pool)
    locked_alone = asyncio.Event()

    async def change() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await lock_alone(connection, [YOU, ME])
            locked_alone.set()

    async with lists.held([ME], TODAY, []), lists.held([ME, THEM], TODAY, []):
        writer = asyncio.create_task(change())
        # Until it waits for the lock, as the database sees it.
        while not await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            assert not writer.done()
        assert not locked_alone.is_set()
    await writer
    assert locked_alone.is_set()


async def test_what_was_changed_before_the_lock_was_free_is_seen(pool: asyncpg.Pool) -> None:
    await write(pool, daily=[a_list(ME, [YOU, THEM])])
    later = NOW + timedelta(seconds=1)
    lists = PostgresLists(pool)

    async def look() -> HeldLists:
        async with lists.held([ME], TODAY, [(ME, YOU), (ME, THEM)]) as held:
            return held

    async with pool.acquire() as connection, connection.transaction():
        await lock_alone(connection, [ME])
        looking = asyncio.create_task(look())
        while not await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ):
            assert not looking.done()
        await write_daily(connection, [replace(a_list(ME, [YOU, THEM]), created_at=later)])
        await connection.execute(
            "INSERT INTO matcher.decisions VALUES ($1, $2, 2, $3)", ME, YOU, NOW
        )

    assert await looking == HeldLists({(ListKind.DAILY, ME): (TODAY, later)}, {(ME, YOU)})
