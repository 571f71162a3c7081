"""What a reply is made of: the question, and facts that are fetched only when they are needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eros_advice.notes import NOTED
from eros_advice.people import Other, Own
from eros_advice.prepared import Prepared, decode, fingerprint
from eros_advice.texts import Language
from eros_assistant.domain.answers import Action, ActionKind, Cited, Engine
from eros_assistant.ports import Caller, People, PreparedAnswers
from eros_assistant.searching import Library
from eros_assistant.understanding.words import NAME, fold, words

API: Final = "/api/v1"
_WORD: Final = re.compile(r"[\w'’]+")
_TOLD: Final = re.compile(
    r"\b(him|her|he|she|them|they|his|their|[eé]l|ella|le|su|sus)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What to say, before warnings are put to it."""

    text: str
    actions: tuple[Action, ...] = ()
    sources: tuple[Cited, ...] = ()
    engine: Engine = Engine.EMBEDDED
    known: bool = True


class Context:
    """One question. Facts are asked for once; None means that they are not to be had now."""

    def __init__(
        self,
        *,
        caller: Caller,
        text: str,
        language: Language,
        before: Sequence[str],
        people: People,
        prepared: PreparedAnswers,
        library: Library,
        names: frozenset[str],
    ) -> None:
        self.caller = caller
        self.text = text
        self.language = language
        self.before = before
        self.library = library
        self._people = people
        self._prepared = prepared
        self._names = names
        self._matches: asyncio.Task[tuple[Other, ...] | None] | None = None
        self._own: asyncio.Task[Own | None] | None = None
        self._left: asyncio.Task[bytes | None] | None = None

    def say(self, texts: Mapping[Language, str], **values: object) -> str:
        """The text in the language of the answer."""
        return texts[self.language].format(**values)

    async def own(self) -> Own | None:
        if self._own is None:
            self._own = asyncio.create_task(self._people.own(self.caller))
        return await self._own

    async def matches(self) -> tuple[Other, ...] | None:
        if self._matches is None:
            self._matches = asyncio.create_task(self._people.matches(self.caller))
        return await self._matches

    async def public(self, other: Other) -> Other:
        return await self._people.public(self.caller, other)

    async def prepared(self) -> Prepared | None:
        """What the night left, where it is of the profile as it is now."""
        if self._left is None:
            self._left = asyncio.create_task(self._prepared.prepared(self.caller.user_id))
        data = await self._left
        found = None if data is None else decode(data)
        if found is None:
            return None
        own = await self.own()
        return found if own is not None and found.profile == fingerprint(own) else None

    async def note(self, entry: str) -> str:
        """What was prepared to say with an entry; empty if nothing, or of a match of before."""
        if entry not in NOTED:
            return ""
        prepared = await self.prepared()
        found = None if prepared is None else prepared.notes[self.language].get(entry)
        if found is None:
            return ""
        if found.about:
            matches = await self.matches()
            if found.about not in {one.user_id for one in matches or ()}:
                return ""
        return found.text

    async def with_note(self, reply: Reply) -> Reply:
        """The reply with what was prepared for the first entry that it draws on."""
        note = await self.note(reply.sources[0].id) if reply.sources else ""
        if not note:
            return reply
        return replace(reply, text=f"{reply.text}\n\n{note}", engine=Engine.PREPARED)

    async def match_meant(self) -> Other | None:
        """The match that is spoken of: by name, or the one spoken of before, or the only one."""
        matches = await self.matches()
        if not matches:
            return None
        if (named := _named_in(self.text, matches)) is not None:
            return named
        if self.name_given():
            return None
        for text in reversed(self.before):
            if (named := _named_in(text, matches)) is not None:
                return named
        return matches[0] if len(matches) == 1 else None

    def name_given(self) -> str:
        """The name that the question mentions, as it was written; empty if none."""
        found = words(self.text, self._names)
        raw: list[str] = _WORD.findall(self.text)
        if NAME in found and len(found) == len(raw):
            return raw[found.index(NAME)].removesuffix("'s").removesuffix("’s")
        return next((word for word in raw if fold(word) in self._names), "")

    def speaks_of_somebody(self) -> bool:
        return bool(self.name_given() or _TOLD.search(self.text))


def _named_in(text: str, matches: Sequence[Other]) -> Other | None:
    said = {fold(word).removesuffix("'s") for word in _WORD.findall(text)}
    for match in matches:
        first = fold(match.name).split()
        if first and first[0] in said:
            return match
    return None


_LABELS: Final = {
    ActionKind.VIEW_MATCHES: {Language.EN: "Today's matches", Language.ES: "Matches de hoy"},
    ActionKind.VIEW_PROFILE: {Language.EN: "{x}'s profile", Language.ES: "Perfil de {x}"},
    ActionKind.EDIT_PROFILE: {Language.EN: "My profile", Language.ES: "Mi perfil"},
    ActionKind.REPORT: {Language.EN: "Report {x}", Language.ES: "Denunciar a {x}"},
    ActionKind.COPY: {Language.EN: "Copy", Language.ES: "Copiar"},
    ActionKind.TRANSLATE: {Language.EN: "Translate into {x}", Language.ES: "Traducir al {x}"},
}


def view_matches(language: Language) -> Action:
    label = _LABELS[ActionKind.VIEW_MATCHES][language]
    return Action(ActionKind.VIEW_MATCHES, label, "GET", f"{API}/matches/daily")


def view_profile(other: Other, language: Language) -> Action:
    label = _LABELS[ActionKind.VIEW_PROFILE][language].format(x=other.name)
    return Action(ActionKind.VIEW_PROFILE, label, "GET", f"{API}/users/{other.user_id}/profile")


def edit_profile(language: Language) -> Action:
    """Opens one's own profile; saving it is a PUT to the same path."""
    label = _LABELS[ActionKind.EDIT_PROFILE][language]
    return Action(ActionKind.EDIT_PROFILE, label, "GET", f"{API}/users/profile")


def report(other: Other, language: Language) -> Action:
    label = _LABELS[ActionKind.REPORT][language].format(x=other.name)
    path = f"{API}/matches/{other.match_id}/action"
    return Action(ActionKind.REPORT, label, "POST", path, {"action": "report"})


def copy(text: str, language: Language) -> Action:
    return Action(ActionKind.COPY, _LABELS[ActionKind.COPY][language], text=text)


def advice(cited: Cited) -> Action:
    path = f"{API}/assistant/advice"
    return Action(ActionKind.ADVICE, cited.title, "POST", path, {"topic": cited.id})


def ask(question: str) -> Action:
    """A question to go on with."""
    return Action(ActionKind.CHAT, question, "POST", f"{API}/assistant/chat", {"message": question})
