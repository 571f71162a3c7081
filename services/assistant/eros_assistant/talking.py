"""Conversations: kept before they are answered, read through the cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from eros_assistant.assistant import Assistant
from eros_assistant.domain.answers import Answer
from eros_assistant.domain.conversations import ConversationId, Page, Turn
from eros_assistant.ports import (
    CacheDrops,
    Caller,
    ConversationCache,
    Conversations,
)
from eros_common.clocks import Clock
from eros_common.errors import NotFound
from eros_common.ids import UserId
from eros_common.shielded import Shield

PAGE: Final = 50


class Talking:
    """The use cases around a conversation."""

    def __init__(
        self,
        assistant: Assistant,
        conversations: Conversations,
        cache: ConversationCache,
        drops: CacheDrops,
        clock: Clock,
        shield: Shield,
    ) -> None:
        self._assistant = assistant
        self._conversations = conversations
        self._cache = cache
        self._drops = drops
        self._clock = clock
        self._shield = shield

    async def say(
        self, caller: Caller, conversation: ConversationId | None, text: str
    ) -> AsyncIterator[tuple[ConversationId, str | Answer]]:
        """Pieces of the answer, then the whole, which is kept. Raises NotFound."""
        # Whoever hangs up between a commit and the drop would leave an old page in the cache.
        turn = await self._shield.run(self._keep(caller.user_id, conversation, text))
        before = [message.text for message in turn.before]
        async for piece in self._assistant.stream(caller, text, before):
            if isinstance(piece, Answer):
                await self._shield.run(self._keep_answer(caller.user_id, turn, piece))
            yield turn.conversation_id, piece

    async def read(
        self,
        user: UserId,
        conversation: ConversationId,
        limit: int,
        before: int | None,
        encode: Callable[[Page], bytes],
    ) -> tuple[bytes, bool]:
        """A page as `encode` writes it, and whether it came from the cache. Raises NotFound."""
        usual = limit == PAGE and before is None
        if usual and (cached := await self._cache.get(user, conversation)) is not None:
            return cached, True
        page = await self._conversations.page(user, conversation, limit, before)
        if page is None:
            raise NotFound("there is no such conversation")
        data = encode(page)
        if usual:
            await self._cache.fill(user, conversation, page.revision, data)
        return data, False

    async def _keep(self, user: UserId, conversation: ConversationId | None, text: str) -> Turn:
        turn = await self._conversations.say(user, conversation, text, self._clock.wall())
        if turn is None:
            what = "account" if conversation is None else "conversation"
            raise NotFound(f"there is no such {what}")
        if conversation is not None:
            # Of a new one nobody can have read anything yet.
            await self._forget(user, turn.conversation_id, turn.revision)
        return turn

    async def _keep_answer(self, user: UserId, turn: Turn, answer: Answer) -> None:
        revision = await self._conversations.answer(turn, answer, self._clock.wall())
        if revision is not None:
            await self._forget(user, turn.conversation_id, revision)

    async def _forget(self, user: UserId, conversation: ConversationId, revision: int) -> None:
        if not await self._cache.forget(user, conversation, revision):
            await self._drops.owe(user, conversation)
