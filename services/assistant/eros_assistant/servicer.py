"""The assistant's API: from proto to the assistant and back, nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from uuid import UUID

from eros.assistant.v1 import assistant_pb2 as pb
from eros.assistant.v1 import assistant_pb2_grpc
from eros_assistant.assistant import Assistant
from eros_assistant.domain.answers import Answer
from eros_assistant.domain.conversations import ConversationId, Page
from eros_assistant.ports import Caller, Touching
from eros_assistant.talking import PAGE, Talking
from eros_assistant.translation.translating import Translator
from eros_assistant.understanding.language import Languages
from eros_assistant.wire import actions_of, chat_of, page_of, sources_of, warnings_of
from eros_common.auth import current_user
from eros_common.channel import AUTHORIZATION_KEY
from eros_common.errors import FieldFault, InvalidArgument

# But tabs and line breaks.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class AssistantServicer(assistant_pb2_grpc.AssistantServiceServicer):
    """See protos/eros/assistant/v1/assistant.proto."""

    def __init__(
        self,
        assistant: Assistant,
        talking: Talking,
        translator: Translator,
        languages: Callable[[], Languages],
        touching: Touching,
    ) -> None:
        self._assistant = assistant
        self._talking = talking
        self._translator = translator
        self._languages = languages
        self._touching = touching

    async def Chat(self, request: pb.ChatRequest, context: Any) -> pb.ChatResponse:
        caller, text = self._arrived(context), _said(request.message, "message")
        async for conversation, piece in self._talking.say(caller, _conversation(request), text):
            if isinstance(piece, Answer):
                return chat_of(conversation, piece)
        raise AssertionError("a conversation's stream ends with its answer")

    async def StreamChat(
        self, request: pb.StreamChatRequest, context: Any
    ) -> AsyncIterator[pb.StreamChatResponse]:
        caller, text = self._arrived(context), _said(request.message, "message")
        async for conversation, piece in self._talking.say(caller, _conversation(request), text):
            named = str(conversation)
            if isinstance(piece, Answer):
                yield pb.StreamChatResponse(
                    conversation_id=named, answer=chat_of(conversation, piece)
                )
            else:
                yield pb.StreamChatResponse(conversation_id=named, delta=piece)

    async def Ask(self, request: pb.AskRequest, context: Any) -> pb.AskResponse:
        caller = self._arrived(context)
        answer = await self._assistant.ask(caller, _said(request.question, "question"))
        return pb.AskResponse(
            success=True,
            question=request.question,
            answer=answer.text,
            sources=sources_of(answer.sources),
            known=answer.known,
            language=answer.language.value,
            engine=answer.engine.value,
            source=answer.origin.value,
            warnings=warnings_of(answer.cautions),
            suggested_actions=actions_of(answer.actions),
        )

    async def Advise(self, request: pb.AdviseRequest, context: Any) -> pb.AdviseResponse:
        caller, topic = self._arrived(context), _said(request.topic, "topic")
        question = _readable(request.context, "context").strip()
        answer = await self._assistant.ask(caller, question, topic)
        return pb.AdviseResponse(
            success=True,
            topic=request.topic,
            advice=answer.text,
            sources=sources_of(answer.sources),
            known=answer.known,
            language=answer.language.value,
            engine=answer.engine.value,
            source=answer.origin.value,
            warnings=warnings_of(answer.cautions),
            suggested_actions=actions_of(answer.actions),
        )

    async def Translate(self, request: pb.TranslateRequest, context: Any) -> pb.TranslateResponse:
        caller = self._arrived(context)
        _said(request.text, "text")
        found = await self._translator.translate(
            self._languages(), request.text, request.target_language, caller.user_id
        )
        return pb.TranslateResponse(
            success=True,
            original=request.text,
            translated=found.text,
            target_language=request.target_language,
            source_language=found.source,
            engine=found.engine,
            quality=found.quality,
        )

    async def GetConversation(
        self, request: pb.GetConversationRequest, context: Any
    ) -> pb.GetConversationResponse:
        conversation = ConversationId(UUID(request.conversation_id))

        def encode(page: Page) -> bytes:
            return page_of(conversation, page, "cache").SerializeToString()

        data, cached = await self._talking.read(
            current_user().user_id,
            conversation,
            request.limit if request.HasField("limit") else PAGE,
            request.before if request.HasField("before") else None,
            encode,
        )
        answer = pb.GetConversationResponse.FromString(data)
        if not cached:
            answer.source = "database"
        return answer

    def _arrived(self, context: Any) -> Caller:
        """Who calls; activity hears of them now, not when a slow answer is there."""
        user = current_user().user_id
        self._touching.touch(user)
        metadata = dict(context.invocation_metadata() or ())
        return Caller(user, str(metadata.get(AUTHORIZATION_KEY, "")))


def _conversation(request: pb.ChatRequest | pb.StreamChatRequest) -> ConversationId | None:
    if not request.HasField("conversation_id"):
        return None
    return ConversationId(UUID(request.conversation_id))


def _said(text: str, field: str) -> str:
    said = _readable(text, field).strip()
    if not said:
        raise InvalidArgument("there is nothing to answer", FieldFault(field, "must not be blank"))
    return said


def _readable(text: str, field: str) -> str:
    """The text, if people can have written it: `InvalidArgument` for control characters."""
    if _CONTROL.search(text):
        fault = "must not contain control characters"
        raise InvalidArgument(f"{field} {fault}", FieldFault(field, fault))
    return text
