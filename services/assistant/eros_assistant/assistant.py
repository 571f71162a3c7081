"""What the assistant does with a message, a question, a topic."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never

from eros_advice.texts import Language
from eros_assistant.domain.answers import Answer, Caution, Engine, Origin
from eros_assistant.domain.intents import Intent
from eros_assistant.model.grounded import Given, sentences
from eros_assistant.model.prompts import SYSTEM, advice_prompt, chat_prompt
from eros_assistant.ports import (
    Caller,
    LanguageModel,
    ModelUnavailable,
    People,
    PreparedAnswers,
)
from eros_assistant.replies import general, matches
from eros_assistant.replies.context import Context, Reply, advice, report
from eros_assistant.replies.readings import Readings
from eros_assistant.replies.translating import ChatTranslation
from eros_assistant.safety import URGENT, Found, Safety
from eros_assistant.searching import Library
from eros_assistant.understanding.understanding import Understanding
from eros_assistant.understanding.words import first_names
from eros_common import logging, telemetry

log = logging.get("assistant")

_SECONDS: Final = (
    *(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25),
    *(0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
)
"""Bucket bounds: the embedded pipeline's promise is 30 ms, a model takes seconds."""
_ALONE: Final = frozenset(
    (Intent.TRANSLATE, Intent.MATCHES_TODAY, Intent.SMALL_TALK, Intent.HOW_EROS_WORKS)
)
"""Facts and courtesies: a model would add nothing but time."""


class Embedded:
    """Everything that answers without a model; loaded as a whole before SERVING."""

    def __init__(
        self, understanding: Understanding, library: Library, safety: Safety, readings: Readings
    ) -> None:
        self.understanding = understanding
        self.library = library
        self.safety = safety
        self.readings = readings
        self.names = first_names()


def load_embedded(head_folder: Path | None = None) -> Embedded:
    """Takes half a second, with the head already trained; call it off the loop."""
    understanding = Understanding.load(head_folder)
    return Embedded(understanding, Library(understanding.vectors), Safety.load(), Readings.load())


class Assistant:
    """Answers; keeps nothing."""

    def __init__(
        self,
        embedded: Callable[[], Embedded],
        people: People,
        prepared: PreparedAnswers,
        translation: ChatTranslation,
        model: LanguageModel | None,
    ) -> None:
        self._embedded = embedded
        self._people = people
        self._prepared = prepared
        self._translation = translation
        self._model = model
        meter = telemetry.meter()
        self._answers = meter.create_counter(
            "eros.assistant.answers", unit="{answer}", description="Answers by intent and engine."
        )
        self._seconds = meter.create_histogram(
            "eros.assistant.answer.duration",
            unit="s",
            description="From a text to its answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._warned = meter.create_counter(
            "eros.assistant.warnings", unit="{warning}", description="Warnings given, by kind."
        )
        self._fallbacks = meter.create_counter(
            "eros.assistant.model.fallbacks",
            unit="{answer}",
            description="Embedded answers in place of the model's, by reason.",
        )

    async def chat(self, caller: Caller, text: str, before: Sequence[str]) -> Answer:
        """The answer to a message; `before` is what was said before it, the newest last."""
        async for piece in self.stream(caller, text, before):
            if isinstance(piece, Answer):
                return piece
        raise AssertionError("a stream ends with its answer")

    async def stream(
        self, caller: Caller, text: str, before: Sequence[str]
    ) -> AsyncIterator[str | Answer]:
        """The answer in pieces as it comes, then as a whole, which is what holds."""
        begun = time.perf_counter()
        embedded = self._embedded()
        said = next((one for one in reversed(before[:-1:2] or before)), "") if before else ""
        language = embedded.understanding.languages.answering(
            text, embedded.understanding.languages.answering(said) if said else None
        )
        found = embedded.safety.look(text)
        intent = embedded.understanding.intent(text).intent
        context = self._context(embedded, caller, text, language, before)
        if found and found[0].kind in URGENT:
            intent = Intent.SAFETY
            answer = self._answer(context, intent, self._urgent(context, found), found)
        else:
            intent = _careful(intent, found)
            reply = await self._reply(context, intent, embedded.readings)
            reply = await self._with_reports(context, intent, reply)
            answer = self._answer(context, intent, reply, found)
            if self._model is not None and intent not in _ALONE:
                prompt = chat_prompt(text, before, reply, language)
                given = Given((text, *before, reply.text), embedded.names, SYSTEM)
                async for piece in self._by_model(context, answer, prompt, given, found):
                    if isinstance(piece, Answer):
                        answer = piece
                    else:
                        yield piece
        self._count(answer, begun)
        yield answer

    async def ask(self, caller: Caller, question: str, topic: str = "") -> Answer:
        """One question, answered from the library. With `topic` the question is about it."""
        begun = time.perf_counter()
        embedded = self._embedded()
        text = f"{topic} {question}".strip()
        language = embedded.understanding.languages.answering(question or topic)
        found = embedded.safety.look(text)
        context = self._context(embedded, caller, text, language, ())
        entry = embedded.library.entry(topic) if topic else None
        if found and found[0].kind in URGENT:
            reply = self._urgent(context, found)
        elif entry is not None:
            near = [hit for hit in embedded.library.find(text) if hit.entry.id != entry.id][:2]
            cited = [context.library.cited(entry.id, language)]
            reply = Reply(
                entry.text[language],
                tuple(advice(hit.cited(language)) for hit in near),
                tuple(cited),
            )
            reply = await context.with_note(reply)
        else:
            reply = await general.library_answer(context, text)
        answer = self._answer(context, Intent.NONE, reply, found)
        urgent = bool(found) and found[0].kind in URGENT
        if self._model is not None and reply.known and not urgent:
            prompt = advice_prompt(question, topic, reply, language)
            given = Given((text, reply.text), embedded.names, SYSTEM)
            async for piece in self._by_model(context, answer, prompt, given, found):
                if isinstance(piece, Answer):
                    answer = piece
        self._count(answer, begun)
        return answer

    def _context(
        self,
        embedded: Embedded,
        caller: Caller,
        text: str,
        language: Language,
        before: Sequence[str],
    ) -> Context:
        return Context(
            caller=caller,
            text=text,
            language=language,
            before=before,
            people=self._people,
            prepared=self._prepared,
            library=embedded.library,
            names=embedded.names,
        )

    async def _reply(self, context: Context, intent: Intent, readings: Readings) -> Reply:
        match intent:
            case Intent.OPENING_LINE:
                return await matches.opening_line(context)
            case Intent.ABOUT_MATCH:
                return await matches.about_match(context)
            case Intent.MATCHES_TODAY:
                return await matches.matches_today(context)
            case Intent.DATE_IDEAS:
                return await matches.date_ideas(context)
            case Intent.PROFILE_HELP:
                return await general.profile_help(context)
            case Intent.UNDERSTAND_MESSAGE:
                return general.understand_message(context, readings)
            case Intent.TRANSLATE:
                return await self._translation.reply(context)
            case Intent.SMALL_TALK:
                return general.small_talk(context)
            case Intent.NONE:
                return await general.none_of_these(context)
            case (
                Intent.FIRST_DATE
                | Intent.SAFETY
                | Intent.REJECTION
                | Intent.CONVERSATION_COLD
                | Intent.HOW_EROS_WORKS
            ):
                return await general.from_library(context, intent)
        assert_never(intent)

    async def _with_reports(self, context: Context, intent: Intent, reply: Reply) -> Reply:
        """Where safety is at stake and it is clear whose, reporting is one tap away."""
        if intent is not Intent.SAFETY or not context.name_given():
            return reply
        other = await context.match_meant()
        if other is None:
            return reply
        return replace(reply, actions=(report(other, context.language), *reply.actions))

    def _urgent(self, context: Context, found: Sequence[Found]) -> Reply:
        """Help lines first, whatever else was asked."""
        first = found[0]
        cited = context.library.cited(first.entry, context.language)
        return Reply(first.message[context.language], (advice(cited),), (cited,))

    def _answer(
        self, context: Context, intent: Intent, reply: Reply, found: Sequence[Found]
    ) -> Answer:
        language = context.language
        cautions = tuple(one.caution(language) for one in found)
        return Answer(
            text=_with_warnings(reply.text, cautions),
            intent=intent,
            language=language,
            actions=reply.actions,
            sources=reply.sources,
            cautions=cautions,
            engine=reply.engine,
            origin=Origin.PREPARED if reply.engine is Engine.PREPARED else Origin.LIVE,
            known=reply.known,
        )

    async def _by_model(
        self,
        context: Context,
        answer: Answer,
        prompt: tuple[str, str],
        given: Given,
        found: Sequence[Found],
    ) -> AsyncIterator[str | Answer]:
        """The model's words in place of ours, a sentence at a time; ours where it fails or says
        what it was not told."""
        assert self._model is not None
        spoken: list[str] = []
        try:
            async with aclosing(self._model.stream(context.caller.user_id, *prompt)) as pieces:
                async for sentence in _checked(pieces, given):
                    spoken.append(sentence)
                    yield sentence
        except ModelUnavailable as unavailable:
            self._fallbacks.add(1, {"reason": unavailable.reason})
            yield answer
            return
        text = "".join(spoken).strip()
        if not text:
            self._fallbacks.add(1, {"reason": "empty"})
            yield answer
            return
        cautions = tuple(one.caution(context.language) for one in found)
        yield replace(answer, text=_with_warnings(text, cautions), engine=Engine.MODEL)

    def _count(self, answer: Answer, begun: float) -> None:
        attributes = {"intent": answer.intent.value, "engine": answer.engine.value}
        self._answers.add(1, attributes)
        self._seconds.record(time.perf_counter() - begun, {"engine": answer.engine.value})
        for caution in answer.cautions:
            self._warned.add(1, {"kind": caution.kind.value})


async def _checked(pieces: AsyncIterator[str], given: Given) -> AsyncIterator[str]:
    """Sentences as they become whole. Raises ModelUnavailable before one that is not covered."""
    rest = ""
    async for piece in pieces:
        whole, rest = sentences(rest + piece)
        for sentence in whole:
            yield _covered(sentence, given)
    if rest:
        yield _covered(rest, given)


def _covered(sentence: str, given: Given) -> str:
    fault = given.fault(sentence)
    if fault is not None:
        raise ModelUnavailable(fault.value)
    return sentence


def _careful(intent: Intent, found: Sequence[Found]) -> Intent:
    """A text that is nothing but a scam is about safety, whatever it looked like."""
    if found and intent in (Intent.NONE, Intent.SMALL_TALK):
        return Intent.SAFETY
    return intent


def _with_warnings(text: str, cautions: Sequence[Caution]) -> str:
    others = [one.message for one in cautions if not text.startswith(one.message)]
    urgent = [one.message for one in cautions if one.kind in URGENT and one.message in others]
    rest = [message for message in others if message not in urgent]
    parts = [*urgent, text, *(f"⚠ {message}" for message in rest[:2])]
    return "\n\n".join(parts)
