"""Who hangs up between what the database was told and what the cache must forget."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from eros_advice.texts import Language
from eros_assistant.domain.answers import Answer
from eros_assistant.domain.conversations import ConversationId, Turn
from eros_assistant.domain.intents import Intent
from eros_assistant.ports import Caller
from eros_assistant.talking import Talking
from eros_common.ids import new_user_id
from eros_common.shielded import Shield
from eros_common.testing import FakeClock

SAID, ANSWERED = 3, 4
"""Revisions of the conversation."""


class Conversations:
    async def say(self, _: object, conversation: ConversationId, *__: object) -> Turn:
        return Turn(conversation, number=3, revision=SAID)

    async def answer(self, *_: object) -> int:
        return ANSWERED


class Cache:
    """Lets whoever must forget a revision wait, and reaches no server then."""

    def __init__(self, slow: int) -> None:
        self._slow = slow
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def forget(self, _: object, __: object, revision: int) -> bool:
        if revision == self._slow:
            self.asked.set()
            await self.go.wait()
            return False
        return True


class Drops:
    def __init__(self) -> None:
        self.owed: list[tuple[object, object]] = []

    async def owe(self, user: object, conversation: object) -> None:
        self.owed.append((user, conversation))


class Assistant:
    async def stream(self, *_: object) -> Any:
        yield Answer("Hello.", Intent.SMALL_TALK, Language.EN)


@pytest.mark.parametrize("slow", [SAID, ANSWERED])
async def test_the_old_page_goes_or_is_owed(slow: int) -> None:
    cache, drops, shield = Cache(slow), Drops(), Shield()
    parts: Any = (Assistant(), Conversations(), cache, drops, FakeClock(), shield)
    talking = Talking(*parts)
    caller, conversation = Caller(new_user_id(), ""), ConversationId(uuid4())

    async def call() -> None:
        async for _ in talking.say(caller, conversation, "hi"):
            pass

    calling = asyncio.create_task(call())
    await cache.asked.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    cache.go.set()
    await shield.settle()
    assert drops.owed == [(caller.user_id, conversation)]
