"""Conversations as they are kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

from eros_assistant.domain.answers import Action
from eros_assistant.domain.intents import Intent

ConversationId = NewType("ConversationId", UUID)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that was said; numbers count from 1 and odd ones are the person's."""

    number: int
    text: str
    created_at: datetime
    intent: Intent | None = None
    actions: tuple[Action, ...] = ()

    @property
    def is_answer(self) -> bool:
        return self.number % 2 == 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A message that was kept and waits for its answer, whose number is the next.

    `before` is what was said before it, the newest last.
    """

    conversation_id: ConversationId
    number: int
    revision: int
    before: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in their order. `next_before` asks for the page of older ones; None: there is none.

    `revision` tells two states of a conversation apart.
    """

    messages: tuple[Message, ...]
    next_before: int | None
    revision: int
