"""Conversations in PostgreSQL, in the role `eros_assistant`; `Unavailable` while that is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import asyncpg

from eros_assistant.domain.answers import Action, ActionKind, Answer
from eros_assistant.domain.conversations import ConversationId, Message, Page, Turn
from eros_assistant.domain.intents import Intent
from eros_common.ids import UserId
from eros_common.postgres import reached

REMEMBERED: Final = 10
"""Messages before a new one that its answer may draw on."""

# One statement each, and so one way to the server and one transaction.
# Nothing where the account is gone, whose token may go on for a second.
_BEGIN: Final = """
WITH chosen AS (
    INSERT INTO assistant.conversations (id, user_id, last_number, revision, created_at, updated_at)
    SELECT $1, $2, 2, 1, $3, $3 WHERE accounts.hold_user($2)
    RETURNING id, last_number - 1 AS number, revision
), said AS (
    INSERT INTO assistant.messages (conversation_id, number, text, created_at)
    SELECT id, number, $4, $3 FROM chosen
)
SELECT number, revision FROM chosen
"""
# The row's lock is held until the message is there: whoever comes next gets the next numbers.
_CONTINUE: Final = """
WITH chosen AS (
    UPDATE assistant.conversations SET last_number = last_number + 2, revision = revision + 1,
        updated_at = greatest(updated_at, $3)
    WHERE id = $1 AND user_id = $2 RETURNING id, last_number - 1 AS number, revision
), said AS (
    INSERT INTO assistant.messages (conversation_id, number, text, created_at)
    SELECT id, number, $4, $3 FROM chosen
)
SELECT number, revision FROM chosen
"""
# Nothing where the account, and with it the conversation, was deleted meanwhile.
_ANSWER: Final = """
WITH raised AS (
    UPDATE assistant.conversations SET revision = revision + 1
    WHERE id = $1 RETURNING id, revision
), said AS (
    INSERT INTO assistant.messages (conversation_id, number, text, intent, actions, created_at)
    SELECT id, $2, $3, $4, $5, $6 FROM raised
)
SELECT revision FROM raised
"""
_BEFORE: Final = """
SELECT number, text, intent, actions, created_at FROM assistant.messages
WHERE conversation_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3
"""
# One statement, so that the revision is that of the messages beside it.
_PAGE: Final = """
SELECT c.revision, m.number, m.text, m.intent, m.actions, m.created_at
FROM assistant.conversations c LEFT JOIN LATERAL (
    SELECT * FROM assistant.messages m
    WHERE m.conversation_id = c.id AND m.number < $3 ORDER BY m.number DESC LIMIT $4
) m ON true
WHERE c.id = $1 AND c.user_id = $2 ORDER BY m.number
"""
_LATEST: Final = 2**31 - 1


class PostgresConversations:
    """See `eros_assistant.ports.Conversations`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def say(
        self, user: UserId, conversation: ConversationId | None, text: str, now: datetime
    ) -> Turn | None:
        statement = _BEGIN if conversation is None else _CONTINUE
        chosen = conversation or ConversationId(uuid4())
        with reached():
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(statement, chosen, user, now, text)
                if row is None:
                    return None
                number: int = row["number"]
                before: Sequence[asyncpg.Record] = ()
                if number > 1:
                    # Apart: the statement before does not see what was said while it waited.
                    before = await connection.fetch(_BEFORE, chosen, number, REMEMBERED)
        return Turn(chosen, number, row["revision"], tuple(map(_message, reversed(before))))

    async def answer(self, turn: Turn, answer: Answer, now: datetime) -> int | None:
        actions = [_stored(action) for action in answer.actions]
        with reached():
            revision: int | None = await self._pool.fetchval(
                _ANSWER,
                turn.conversation_id,
                turn.number + 1,
                _storable(answer.text),
                answer.intent.value,
                actions,
                now,
            )
        return revision

    async def page(
        self, user: UserId, conversation: ConversationId, limit: int, before: int | None
    ) -> Page | None:
        with reached():
            rows = await self._pool.fetch(_PAGE, conversation, user, before or _LATEST, limit + 1)
        if not rows:
            return None
        found = [_message(row) for row in rows if row["number"] is not None]
        more = len(found) > limit
        messages = tuple(found[-limit:])
        return Page(messages, messages[0].number if more else None, rows[0]["revision"])


class PostgresCacheDrops:
    """See `eros_assistant.ports.CacheDrops`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def owe(self, user: UserId, conversation: ConversationId) -> None:
        with reached():
            await self._pool.execute(
                "INSERT INTO assistant.cache_drops VALUES ($1, $2) ON CONFLICT DO NOTHING",
                user,
                conversation,
            )


def _storable(text: str) -> str:
    # PostgreSQL's text holds every character but this one, and a model may write any.
    return text.replace("\0", "")


def _stored(action: Action) -> dict[str, Any]:
    return {
        "kind": action.kind.value,
        "label": action.label,
        "method": action.method,
        "path": action.path,
        "body": dict(action.body),
        "text": _storable(action.text),
    }


def _message(row: asyncpg.Record) -> Message:
    return Message(
        number=row["number"],
        text=row["text"],
        created_at=row["created_at"],
        intent=None if row["intent"] is None else Intent(row["intent"]),
        actions=tuple(
            Action(**{**stored, "kind": ActionKind(stored["kind"])}) for stored in row["actions"]
        ),
    )
