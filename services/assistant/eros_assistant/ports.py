"""What the assistant asks of the outside."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from eros_advice.people import Other, Own
from eros_assistant.domain.answers import Answer
from eros_assistant.domain.conversations import ConversationId, Page, Turn
from eros_common.ids import UserId


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. The token goes on to the services that are asked on the person's behalf, so that
    the assistant never sees more than the person may."""

    user_id: UserId
    authorization: str


class Conversations(Protocol):
    """Kept conversations; of others' nothing is found."""

    async def say(
        self, user: UserId, conversation: ConversationId | None, text: str, now: datetime
    ) -> Turn | None:
        """Keeps a message, in a new conversation where none is named; None: there is no such, or
        no such account."""
        ...

    async def answer(self, turn: Turn, answer: Answer, now: datetime) -> int | None:
        """Keeps the answer behind its message; the new revision, None if all was deleted."""
        ...

    async def page(
        self, user: UserId, conversation: ConversationId, limit: int, before: int | None
    ) -> Page | None:
        """The newest messages before a number; None: there is no such conversation."""
        ...


class ConversationCache(Protocol):
    """Pages ready to send. A cache that does not answer is an empty one."""

    async def get(self, user: UserId, conversation: ConversationId) -> bytes | None: ...

    async def fill(
        self, user: UserId, conversation: ConversationId, revision: int, data: bytes
    ) -> None:
        """Keep it for 7 days, unless a newer revision was heard of."""
        ...

    async def forget(self, user: UserId, conversation: ConversationId, revision: int) -> bool:
        """False where the cache did not answer: the drop is owed."""
        ...


class CacheDrops(Protocol):
    """Drops that are owed to the cache, kept in the database."""

    async def owe(self, user: UserId, conversation: ConversationId) -> None: ...


class PreparedAnswers(Protocol):
    """What the night left."""

    async def prepared(self, user: UserId) -> bytes | None: ...


class People(Protocol):
    """What accounts and matcher know, as the caller may see it. None: not to be had now."""

    async def own(self, caller: Caller) -> Own | None: ...

    async def matches(self, caller: Caller) -> tuple[Other, ...] | None:
        """Today's, with reasons and distance and without what only profiles say."""
        ...

    async def public(self, caller: Caller, other: Other) -> Other:
        """The same person with what their public profile says, where it can be had."""
        ...


class Touching(Protocol):
    """Tells activity that somebody is here; never waits and never fails."""

    def touch(self, user: UserId) -> None: ...


@dataclass(frozen=True, slots=True)
class Translated:
    """A text in another language; `quality` is exact, good or modest."""

    text: str
    engine: str
    quality: str


class TranslationEngine(Protocol):
    """Translates between pairs of languages, by ISO 639-1."""

    name: str

    def pairs(self) -> frozenset[tuple[str, str]] | None:
        """What it can do now; None: any pair; empty: it is not there."""
        ...

    async def translate(
        self, text: str, source: str, target: str, *, user: UserId
    ) -> Translated | None:
        """None where it cannot just now."""
        ...


class LanguageModel(Protocol):
    """A large language model, where there is one."""

    def stream(self, user: UserId, system: str, prompt: str) -> AsyncGenerator[str, None]:
        """Pieces of the answer. Raises ModelUnavailable: slow, down, refused or over budget."""
        ...


class ModelUnavailable(Exception):
    """The model cannot answer now; `reason` is one word for metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelUse(Protocol):
    """Tokens a person used on the day (UTC) of `now`."""

    async def reserve(self, user: UserId, tokens: int, budget: int, now: datetime) -> bool:
        """Counts so many as used, unless that would be more than the budget; whether it did.
        Raises ModelUnavailable where that cannot be known."""
        ...

    async def settle(self, user: UserId, tokens: int, now: datetime) -> None:
        """Counts so many more to what was reserved then, or fewer where negative. Raises
        ModelUnavailable."""
        ...
