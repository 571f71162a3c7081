"""Actions and decisions in PostgreSQL, and the cached lists they touch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from eros_common.errors import NotFound
from eros_common.idempotency import Once
from eros_common.ids import UserId
from eros_matcher.domain.actions import Action, Outcome
from eros_matcher.domain.lists import match_id as id_of
from eros_matcher.ports import ListCache
from eros_matcher.store_locks import lock_alone

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_DECIDED = "SELECT action FROM matcher.decisions WHERE user_id = $1 AND other_id = $2"
_MARK_DUE = "SELECT scheduler.mark_due($1::uuid[], 1::smallint, $2)"
_REPORTED = 1


class PostgresActions:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool, cache: ListCache) -> None:
        self._pool = pool
        self._cache = cache

    async def act(
        self,
        user: UserId,
        match_id: UUID,
        action: Action,
        at: datetime,
        night: datetime,
        once: Once | None = None,
    ) -> Outcome:
        """Raises NotFound for a match that is not the person's, or that is hidden. Analysis of the
        person is due then, as of ``night``. A repeat of ``once`` is answered as the first was, and
        changes nothing whatever was done since; InvalidArgument if it asks for something else."""
        try:
            return await self._act(user, match_id, action, at, night, once)
        except _Repeated as repeated:
            return repeated.outcome

    async def _act(
        self,
        user: UserId,
        match_id: UUID,
        action: Action,
        at: datetime,
        night: datetime,
        once: Once | None,
    ) -> Outcome:
        async with self._pool.acquire() as connection, connection.transaction():
            # Before the match is looked for: it may be gone by now.
            await _refuse_repeat(connection, user, once)
            other = await _other_of(connection, user, match_id)
            if other is None:
                raise NotFound("you have no such match")
            # Job rows before the lock below, as the workers do.
            await connection.execute(_MARK_DUE, [user], night)
            # Both, so that of two likes at the same moment the second sees the first.
            await lock_alone(connection, [user, other])
            # The first may have come at the same time.
            await _refuse_repeat(connection, user, once)
            before = await connection.fetchval(_DECIDED, user, other)
            hidden = await connection.fetchval(
                "SELECT true FROM matcher.hidden WHERE user_id = $1 AND other_id = $2", user, other
            )
            if hidden and not (action is Action.REPORT and before == Action.REPORT):
                raise NotFound("you have no such match")
            if await _is_news(connection, user, other, action, before):
                await _note(connection, user, other, match_id, action, at)
                if action.decides:
                    await self._decide(connection, user, other, action, at)
            theirs = await connection.fetchval(_DECIDED, other, user)
            outcome = Outcome(action, mutual=action is Action.LIKE and theirs == Action.LIKE)
            if once is not None:
                await _keep_answer(connection, user, once, outcome, at)
        return outcome

    async def _decide(
        self,
        connection: PoolConnectionProxy,
        user: UserId,
        other: UserId,
        action: Action,
        at: datetime,
    ) -> None:
        await connection.execute(
            """
            INSERT INTO matcher.decisions (user_id, other_id, action, decided_at)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (user_id, other_id) DO UPDATE
                SET action = excluded.action, decided_at = excluded.decided_at
            """,
            *(user, other, action, at),
        )
        touched = [user]
        if action is Action.REPORT:
            touched.append(other)
            await connection.executemany(
                """
                INSERT INTO matcher.hidden (user_id, other_id, reason, at)
                VALUES ($1, $2, $3, $4)
                ON CONFLICT (user_id, other_id) DO UPDATE SET reason = excluded.reason
                """,
                [(user, other, _REPORTED, at), (other, user, _REPORTED, at)],
            )
        await drop_lists(connection, self._cache, touched)

    async def forget_answers(self, before: datetime) -> None:
        """Deletes the kept answers to keys that are older."""
        await self._pool.execute("DELETE FROM matcher.answered WHERE at < $1", before)


async def drop_lists(
    connection: PoolConnectionProxy, cache: ListCache, users: Sequence[UserId]
) -> None:
    """Within a transaction that holds these people's locks, before it commits: nobody can copy the
    old lists back while the lock is held. What the cache does not hear of is owed."""
    if users and not await cache.drop(users):
        await connection.executemany(
            "INSERT INTO matcher.cache_drops (user_id) VALUES ($1) ON CONFLICT DO NOTHING",
            [(one,) for one in users],
        )


class _Repeated(Exception):
    """Was done before. Raised, so that whatever this transaction did until here is undone."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


async def _refuse_repeat(connection: PoolConnectionProxy, user: UserId, once: Once | None) -> None:
    if once is None:
        return
    row = await connection.fetchrow(
        "SELECT * FROM matcher.answered WHERE user_id = $1 AND key_hash = $2", user, once.key
    )
    if row is not None:
        once.check(row["request_hash"])
        raise _Repeated(Outcome(Action(row["action"]), mutual=row["mutual"]))


async def _keep_answer(
    connection: PoolConnectionProxy, user: UserId, once: Once, outcome: Outcome, at: datetime
) -> None:
    await connection.execute(
        """
        INSERT INTO matcher.answered (user_id, key_hash, request_hash, action, mutual, at)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
        """,
        *(user, once.key, once.request, outcome.action, outcome.mutual, at),
    )


async def _other_of(connection: PoolConnectionProxy, user: UserId, match_id: UUID) -> UserId | None:
    other: UserId | None = await connection.fetchval(
        "SELECT other_id FROM matcher.matches WHERE user_id = $1 AND match_id = $2", user, match_id
    )
    if other is None:
        # Of a list that is forgotten by now: a mutual one is told by what was done with it.
        other = await connection.fetchval(
            "SELECT other_id FROM matcher.actions WHERE user_id = $1 AND match_id = $2 LIMIT 1",
            *(user, match_id),
        )
    if other is not None:
        return other
    rows = await connection.fetch(
        "SELECT list_date, others FROM matcher.recommendations WHERE user_id = $1", user
    )
    candidates = ((other, row["list_date"]) for row in rows for other in row["others"])
    return next((o for o, day in candidates if id_of(user, o, day) == match_id), None)


async def _is_news(
    connection: PoolConnectionProxy, user: UserId, other: UserId, action: Action, before: int | None
) -> bool:
    if action.decides:
        return action != before
    seen = await connection.fetchval(
        """
        SELECT true FROM matcher.actions
        WHERE user_id = $1 AND other_id = $2 AND action = $3 LIMIT 1
        """,
        *(user, other, action),
    )
    return not seen


async def _note(
    connection: PoolConnectionProxy,
    user: UserId,
    other: UserId,
    match_id: UUID,
    action: Action,
    at: datetime,
) -> None:
    await connection.execute(
        """
        INSERT INTO matcher.actions (user_id, other_id, match_id, action, at)
        VALUES ($1, $2, $3, $4, $5)
        """,
        *(user, other, match_id, action, at),
    )
