"""Lists of matches in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

import asyncpg

from eros_common.ids import UserId
from eros_common.tasks import Breather
from eros_matcher.domain.lists import MatchList, Source, Suggestion, match_id
from eros_matcher.ports import CurrentLists, HeldLists, ListKind, Pair
from eros_matcher.store_locks import keys_of, lock_alone

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_CURRENT_DAILY = """
SELECT m.* FROM unnest($1::uuid[]) u(user_id)
CROSS JOIN LATERAL (
    SELECT max(list_date) AS list_date FROM matcher.matches n
    WHERE n.user_id = u.user_id AND n.list_date >= $2
) newest
JOIN matcher.matches m ON m.user_id = u.user_id AND m.list_date = newest.list_date
ORDER BY m.user_id, m.rank
"""
# The same for one, so plain that it need not be planned each time: 34 µs of the server, not 160.
_NEWEST_DAILY = """
SELECT * FROM matcher.matches WHERE user_id = $1 AND list_date = (
    SELECT max(list_date) FROM matcher.matches WHERE user_id = $1 AND list_date >= $2
) ORDER BY rank
"""
_CURRENT_BEYOND = """
SELECT DISTINCT ON (user_id) * FROM matcher.recommendations
WHERE user_id = ANY ($1) AND list_date >= $2 ORDER BY user_id, list_date DESC
"""
_DAILY_ON = "SELECT * FROM matcher.matches WHERE user_id = $1 AND list_date = $2 ORDER BY rank"
_PAIRS = "unnest($1::uuid[], $2::uuid[]) p(user_id, other_id)"
_HIDDEN = f"""
SELECT h.user_id, h.other_id FROM {_PAIRS} JOIN matcher.hidden h USING (user_id, other_id)
"""  # noqa: S608 - a constant
_HOLD = "SELECT * FROM matcher.hold_lists($1, $2, $3, $4, $5)"
_STAMPED = {1: ListKind.DAILY, 2: ListKind.BEYOND}
# Whom the sweep has at this moment it takes out a quarter of an hour later: nobody waits for it.
_LOOK_AGAIN = """
UPDATE matcher.erasures SET swept_at = NULL, finished_at = NULL WHERE user_id IN (
    SELECT user_id FROM matcher.erasures
    WHERE user_id = ANY ($1) AND swept_at IS NOT NULL FOR UPDATE SKIP LOCKED
)
"""
_MATCH_COLUMNS = (
    *("user_id", "list_date", "other_id", "rank", "match_id", "source", "score", "distance_km"),
    *("reasons", "model_version", "market_version", "created_at"),
)
_BEYOND_COLUMNS = (
    *("user_id", "list_date", "source", "others", "scores", "distances", "reasons"),
    *("model_version", "market_version", "created_at"),
)


class PostgresLists:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def current(self, users: Sequence[UserId], since: date) -> dict[UserId, CurrentLists]:
        """The newest lists of each that are dated `since` or later."""
        async with self._pool.acquire() as connection:
            return await _current(connection, users, since)

    async def newest(self, kind: ListKind, user: UserId, since: date) -> MatchList | None:
        """The newest list of a kind that is dated `since` or later."""
        if kind is ListKind.DAILY:
            rows = await self._pool.fetch(_NEWEST_DAILY, user, since)
            return _daily_of(rows) if rows else None
        async with self._pool.acquire() as connection:
            return (await _beyond(connection, [user], since)).get(user)

    async def daily(self, users: Sequence[UserId], since: date) -> dict[UserId, MatchList]:
        """The newest daily list of each that is dated `since` or later."""
        async with self._pool.acquire() as connection:
            return await _daily(connection, users, since)

    async def daily_on(self, user: UserId, list_date: date) -> MatchList | None:
        """The list of a day."""
        rows = await self._pool.fetch(_DAILY_ON, user, list_date)
        return _daily_of(rows) if rows else None

    async def hidden(self, pairs: Iterable[Pair]) -> set[Pair]:
        """Of the pairs, those that must not see each other."""
        async with self._pool.acquire() as connection:
            return await _pairs(connection, _HIDDEN, pairs)

    @asynccontextmanager
    async def held(
        self, users: Sequence[UserId], since: date, pairs: Sequence[Pair]
    ) -> AsyncIterator[HeldLists]:
        """While nobody changes these people's lists or decisions: which lists of theirs that are
        dated `since` or later are the newest, and who of the pairs is gone."""
        firsts, others = [user for user, _ in pairs], [other for _, other in pairs]
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_HOLD, keys_of(users), users, since, firsts, others)
            yield HeldLists(
                {
                    (kind, row["user_id"]): (row["list_date"], row["created_at"])
                    for row in rows
                    if (kind := _STAMPED.get(row["kind"])) is not None
                },
                {(row["user_id"], row["other_id"]) for row in rows if row["other_id"] is not None},
            )

    async def keep_preview(self, daily: MatchList, beyond: MatchList) -> CurrentLists:
        """Store a preview unless lists of that date or later are there; returns what is there."""
        user = daily.user_id
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_alone(connection, [user])
            there = (await _current(connection, [user], daily.list_date))[user]
            if there.daily is None:
                await write_daily(connection, [daily])
            if there.beyond is None:
                await write_beyond(connection, [beyond])
        return CurrentLists(there.daily or daily, there.beyond or beyond)


async def write_daily(connection: PoolConnectionProxy, lists: Sequence[MatchList]) -> None:
    """Replace daily lists; the caller has locked their people."""
    await connection.execute(
        """
        DELETE FROM matcher.matches m USING unnest($1::uuid[], $2::date[]) l(user_id, list_date)
        WHERE m.user_id = l.user_id AND m.list_date = l.list_date
        """,
        [matches.user_id for matches in lists],
        [matches.list_date for matches in lists],
    )
    await connection.copy_records_to_table(
        "matches",
        schema_name="matcher",
        columns=_MATCH_COLUMNS,
        records=[row for matches in lists for row in _match_rows(matches)],
    )
    await _look_again(connection, lists)


async def forget_older(
    connection: PoolConnectionProxy, lists: Sequence[MatchList], days: int
) -> None:
    """Forget what these people's daily lists were so many days before these; the caller has locked
    their people. Each night takes one day's rows away for those it adds."""
    await connection.execute(
        """
        DELETE FROM matcher.matches m USING unnest($1::uuid[], $2::date[]) l(user_id, list_date)
        WHERE m.user_id = l.user_id AND m.list_date < l.list_date - $3::integer
        """,
        [matches.user_id for matches in lists],
        [matches.list_date for matches in lists],
        days,
    )


async def write_beyond(connection: PoolConnectionProxy, lists: Sequence[MatchList]) -> None:
    """Replace recommendations; those of the day before stay, a phone may still show them."""
    await connection.execute(
        """
        DELETE FROM matcher.recommendations r
        USING unnest($1::uuid[], $2::date[]) l(user_id, list_date)
        WHERE r.user_id = l.user_id
            AND (r.list_date = l.list_date OR r.list_date < l.list_date - 1)
        """,
        [matches.user_id for matches in lists],
        [matches.list_date for matches in lists],
    )
    await connection.copy_records_to_table(
        "recommendations",
        schema_name="matcher",
        columns=_BEYOND_COLUMNS,
        records=[_beyond_row(matches) for matches in lists],
    )
    await _look_again(connection, lists)


async def _look_again(connection: PoolConnectionProxy, lists: Sequence[MatchList]) -> None:
    """Lists that were being made when somebody left name them: they are to be taken out again."""
    others = {suggestion.other_id for matches in lists for suggestion in matches.suggestions}
    await connection.execute(_LOOK_AGAIN, list(others))


async def _current(
    connection: PoolConnectionProxy, users: Sequence[UserId], since: date
) -> dict[UserId, CurrentLists]:
    daily = await _daily(connection, users, since)
    beyond = await _beyond(connection, users, since)
    return {user: CurrentLists(daily.get(user), beyond.get(user)) for user in users}


async def _daily(
    connection: PoolConnectionProxy, users: Sequence[UserId], since: date
) -> dict[UserId, MatchList]:
    found: dict[UserId, MatchList] = {}
    breather = Breather()
    rows = await connection.fetch(_CURRENT_DAILY, users, since)
    for user, theirs in groupby(rows, key=lambda row: row["user_id"]):
        found[user] = _daily_of(list(theirs))
        await breather.breathe()
    return found


async def _beyond(
    connection: PoolConnectionProxy, users: Sequence[UserId], since: date
) -> dict[UserId, MatchList]:
    found: dict[UserId, MatchList] = {}
    breather = Breather()
    for row in await connection.fetch(_CURRENT_BEYOND, users, since):
        found[row["user_id"]] = _beyond_of(row)
        await breather.breathe()
    return found


async def _pairs(connection: PoolConnectionProxy, query: str, pairs: Iterable[Pair]) -> set[Pair]:
    wanted = list(pairs)
    rows = await connection.fetch(
        query, [user for user, _ in wanted], [other for _, other in wanted]
    )
    return {(row["user_id"], row["other_id"]) for row in rows}


def _match_rows(matches: MatchList) -> list[tuple[Any, ...]]:
    user, day = matches.user_id, matches.list_date
    return [
        (
            *(user, day, s.other_id, rank, match_id(user, s.other_id, day), matches.source),
            *(s.score, s.distance_km, s.reasons, matches.model_version),
            *(matches.market_version, matches.created_at),
        )
        for rank, s in enumerate(matches.suggestions, 1)
    ]


def _beyond_row(matches: MatchList) -> tuple[Any, ...]:
    return (
        *(matches.user_id, matches.list_date, matches.source),
        [s.other_id for s in matches.suggestions],
        [s.score for s in matches.suggestions],
        [s.distance_km for s in matches.suggestions],
        ["\n".join(s.reasons) for s in matches.suggestions],
        *(matches.model_version, matches.market_version, matches.created_at),
    )


def _daily_of(rows: Sequence[asyncpg.Record]) -> MatchList:
    return _list_of(
        rows[0],
        (
            Suggestion(r["other_id"], r["score"], r["distance_km"], tuple(r["reasons"]))
            for r in rows
        ),
    )


def _beyond_of(row: asyncpg.Record) -> MatchList:
    columns = zip(row["others"], row["scores"], row["distances"], row["reasons"], strict=True)
    return _list_of(
        row,
        (
            Suggestion(other, score, distance, tuple(reasons.split("\n")))
            for other, score, distance, reasons in columns
        ),
    )


def _list_of(row: asyncpg.Record, suggestions: Iterable[Suggestion]) -> MatchList:
    return MatchList(
        user_id=row["user_id"],
        list_date=row["list_date"],
        source=Source(row["source"]),
        suggestions=tuple(suggestions),
        model_version=row["model_version"],
        market_version=row["market_version"],
        created_at=row["created_at"],
    )
