"""Replies about matches: first lines, who somebody is, who is there today, what to do together."""

from __future__ import annotations

import asyncio
from typing import Final

from eros_advice.icebreakers import openings
from eros_advice.interests import named, topic_of
from eros_advice.people import Other, Own, shared_interests
from eros_advice.texts import Language, bulleted, listed
from eros_assistant.domain.answers import Cited, Engine
from eros_assistant.replies.context import (
    Context,
    Reply,
    advice,
    ask,
    copy,
    view_matches,
    view_profile,
)
from eros_assistant.replies.reasons import in_language
from eros_assistant.replies.texts import (
    ABOUT,
    DATE_TOGETHER,
    MATCHES,
    MATCHES_AWAY,
    NO_MATCHES,
    NOBODY_NAMED,
    OPENING_FOR,
    OPENING_GENERAL,
    OPENING_WHOM,
)

_SHOWN: Final = 5


async def opening_line(context: Context) -> Reply:
    """First lines to the match that is meant."""
    language = context.language
    entry = context.library.entries["first-message"]
    source = (_cited(context, entry.id),)
    other = await context.match_meant()
    if other is None:
        return await _opening_without(context)
    lines, engine = await _lines(context, other)
    text = context.say(OPENING_FOR, name=other.name, lines=bulleted(lines))
    return Reply(
        text,
        (*(copy(line, language) for line in lines), view_profile(other, language)),
        source,
        engine,
    )


async def _lines(context: Context, other: Other) -> tuple[tuple[str, ...], Engine]:
    prepared = await context.prepared()
    if prepared is not None:
        lines = prepared.openings[context.language].get(other.user_id)
        if lines:
            return lines, Engine.PREPARED
    public, own = await asyncio.gather(context.public(other), context.own())
    return openings(own or Own(), public, context.language), Engine.EMBEDDED


async def _opening_without(context: Context) -> Reply:
    language = context.language
    matches = await context.matches()
    source = _cited(context, "first-message")
    if name := context.name_given():
        text = context.say(NOBODY_NAMED, name=name)
        if matches:
            text += " " + context.say(
                OPENING_WHOM, names=listed([one.name for one in matches[:_SHOWN]], language)
            )
        text += "\n\n" + context.library.entries["first-message"].text[language]
        return Reply(text, (view_matches(language), advice(source)), (source,))
    if matches:
        names = [one.name for one in matches[:_SHOWN]]
        text = context.library.entries["first-message"].text[language]
        text += "\n\n" + context.say(OPENING_WHOM, names=listed(names, language))
        asked = OPENING_GENERAL[language]
        follow = tuple(ask(asked.format(name=name)) for name in names[:3])
        return Reply(text, (*follow, view_matches(language)), (source,))
    text = context.library.entries["first-message"].text[language]
    return Reply(text, (view_matches(language), advice(source)), (source,))


async def about_match(context: Context) -> Reply:
    """What the public profile and the matcher say of somebody, and nothing more."""
    language = context.language
    other = await context.match_meant()
    if other is None:
        matches = await context.matches()
        if matches is None:
            return Reply(context.say(MATCHES_AWAY), (view_matches(language),))
        if not matches:
            return _nobody(context)
        text = ""
        if name := context.name_given():
            text = context.say(NOBODY_NAMED, name=name) + " "
        names = [one.name for one in matches[:_SHOWN]]
        text += context.say(OPENING_WHOM, names=listed(names, language))
        return Reply(text, (view_matches(language),))
    public, own = await asyncio.gather(context.public(other), context.own())
    text = "\n".join(_described(context, own or Own(), public))
    follow = OPENING_GENERAL[language].format(name=public.name)
    return Reply(text, (ask(follow), view_profile(public, language)))


def _described(context: Context, own: Own, other: Other) -> list[str]:
    language = context.language
    say = ABOUT[language]
    head = other.name if other.age is None else f"{other.name}, {other.age}"
    lines = [say["from"].format(head=head, city=other.city) if other.city else f"{head}."]
    if other.distance_km is not None:
        lines.append(say["distance"].format(km=round(other.distance_km)))
    shared = shared_interests(own, other)
    if shared:
        lines.append(say["shared"].format(x=_names(shared, language)))
    elif other.interests:
        lines.append(say["none_shared"])
    rest = [one for one in other.interests if one not in shared]
    if rest:
        lines.append(say["interests"].format(x=_names(rest[:8], language)))
    if other.bio:
        lines.append(
            say["bio"].format(x=other.bio if len(other.bio) < 400 else other.bio[:399] + "…")
        )
    else:
        lines.append(say["no_bio"])
    reasons = [in_language(reason, language) for reason in other.reasons]
    if reasons:
        lines.append(say["reasons"] + "\n" + bulleted(reasons))
    lines.append(say["limits"])
    return lines


async def matches_today(context: Context) -> Reply:
    """Who is on today's list, and why."""
    language = context.language
    matches = await context.matches()
    if matches is None:
        return Reply(context.say(MATCHES_AWAY), (view_matches(language),))
    if not matches:
        return _nobody(context)
    lines = []
    for match in matches[:_SHOWN]:
        head = match.name if match.age is None else f"{match.name}, {match.age}"
        reason = in_language(match.reasons[0], language) if match.reasons else ""
        lines.append(f"{head}. {reason}".strip())
    text = context.say(MATCHES, count=len(matches), lines=bulleted(lines))
    follow = OPENING_GENERAL[language].format(name=matches[0].name)
    return Reply(text, (view_matches(language), ask(follow), view_profile(matches[0], language)))


async def date_ideas(context: Context) -> Reply:
    """Things to do: by what the two share, else from the library."""
    language = context.language
    hits = [
        hit
        for hit in context.library.find(context.text, 6)
        if hit.entry.id.startswith(("date-ideas", "virtual-dates", "planning"))
    ]
    other = await context.match_meant() if context.speaks_of_somebody() else None
    if other is not None:
        public, own = await asyncio.gather(context.public(other), context.own())
        ideas = _together(own or Own(), public, language)
        if ideas:
            cited = _cited(context, "planning-a-first-date")
            text = context.say(DATE_TOGETHER, name=public.name, lines=bulleted(ideas))
            return Reply(text, (view_profile(public, language), advice(cited)), (cited,))
    chosen = hits[0].entry.id if hits else "date-ideas-cheap"
    cited = _cited(context, chosen)
    others = [_cited(context, entry) for entry in _OTHER_IDEAS if entry != chosen][:2]
    text = context.library.entries[chosen].text[language]
    return Reply(text, tuple(advice(one) for one in others), (cited,))


_OTHER_IDEAS: Final = ("date-ideas-active", "date-ideas-rainy", "date-ideas-romantic")


def _together(own: Own, other: Other, language: Language) -> list[str]:
    shared = shared_interests(own, other)
    ordered = [*shared, *(one for one in other.interests if one not in shared)]
    ideas = []
    for interest in ordered:
        topic = topic_of(interest)
        if topic is not None and topic.date[language] not in ideas:
            ideas.append(topic.date[language])
    return ideas[:3]


def _nobody(context: Context) -> Reply:
    cited = _cited(context, "few-matches")
    text = (
        context.say(NO_MATCHES) + "\n\n" + context.library.entries[cited.id].text[context.language]
    )
    return Reply(text, (view_matches(context.language), advice(cited)), (cited,))


def _names(interests: tuple[str, ...] | list[str], language: Language) -> str:
    return listed([named(one, language) for one in interests], language)


def _cited(context: Context, entry: str) -> Cited:
    return context.library.cited(entry, context.language)
