"""Answers and conversations as protos."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from eros.assistant.v1 import answer_pb2, assistant_pb2
from eros_assistant.domain.answers import Action, Answer, Caution, Cited
from eros_assistant.domain.conversations import ConversationId, Message, Page


def actions_of(actions: Iterable[Action]) -> list[answer_pb2.SuggestedAction]:
    return [_action(action) for action in actions]


def sources_of(sources: Iterable[Cited]) -> list[answer_pb2.Source]:
    return [answer_pb2.Source(id=one.id, title=one.title) for one in sources]


def warnings_of(cautions: Iterable[Caution]) -> list[answer_pb2.Warning]:
    return [answer_pb2.Warning(kind=one.kind.value, message=one.message) for one in cautions]


def chat_of(conversation: ConversationId, answer: Answer) -> assistant_pb2.ChatResponse:
    return assistant_pb2.ChatResponse(
        success=True,
        conversation_id=str(conversation),
        response=answer.text,
        intent=answer.intent.value,
        suggested_actions=actions_of(answer.actions),
        language=answer.language.value,
        engine=answer.engine.value,
        source=answer.origin.value,
        sources=sources_of(answer.sources),
        warnings=warnings_of(answer.cautions),
    )


def page_of(
    conversation: ConversationId, page: Page, source: str
) -> assistant_pb2.GetConversationResponse:
    return assistant_pb2.GetConversationResponse(
        success=True,
        conversation_id=str(conversation),
        messages=[_message(message) for message in page.messages],
        source=source,
        next_before=page.next_before,
    )


def _action(action: Action) -> answer_pb2.SuggestedAction:
    body = None
    if action.body:
        body = Struct()
        body.update(dict(action.body))
    return answer_pb2.SuggestedAction(
        type=action.kind.value,
        label=action.label,
        method=action.method,
        path=action.path,
        body=body,
        text=action.text,
    )


def _message(message: Message) -> answer_pb2.ConversationMessage:
    at = Timestamp()
    at.FromDatetime(message.created_at)
    return answer_pb2.ConversationMessage(
        number=message.number,
        role="assistant" if message.is_answer else "user",
        text=message.text,
        intent="" if message.intent is None else message.intent.value,
        suggested_actions=actions_of(message.actions),
        created_at=at,
    )
