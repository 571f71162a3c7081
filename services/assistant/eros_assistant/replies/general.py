"""Replies that need no match: the library, the profile, a message's meaning, small talk."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from eros_advice.review import review
from eros_advice.texts import bulleted, listed
from eros_assistant.domain.answers import Action, Cited, Engine
from eros_assistant.domain.intents import Intent
from eros_assistant.replies.context import (
    Context,
    Reply,
    advice,
    ask,
    edit_profile,
    view_matches,
)
from eros_assistant.replies.readings import Readings, quotation
from eros_assistant.replies.texts import (
    ALSO,
    FOLLOW,
    NONE,
    PROFILE_AWAY,
    REVIEW,
    REVIEW_GOOD,
    SMALL_TALK,
    UNDERSTAND_PASTE,
    UNDERSTAND_QUOTED,
    UNKNOWN,
)
from eros_assistant.searching import KNOWN, Hit
from eros_assistant.understanding.words import fold

_CERTAIN: Final = 0.55
"""From this score an entry answers a question that fits no intent."""

# Where the nearest entry is none of these, the first is the answer.
_ENTRIES: Final[dict[Intent, tuple[str, ...]]] = {
    Intent.FIRST_DATE: (
        *("planning-a-first-date", "first-date-nerves", "first-date-conversation", "what-to-wear"),
        *("who-pays", "first-kiss", "after-the-date", "second-date", "handling-awkward-dates"),
        *("alcohol-on-dates", "flirting", "introverts", "meeting-safely", "green-flags"),
    ),
    Intent.SAFETY: (
        *("meeting-safely", "spotting-scams", "fake-profiles", "protecting-your-data"),
        *("moving-off-the-app", "requests-for-money", "blackmail-with-images", "harassment"),
        *("reporting-and-blocking", "consent", "saying-no", "sexual-assault-help", "minors"),
        *("sexting", "red-flags", "alcohol-on-dates", "love-bombing", "talking-about-sex"),
    ),
    Intent.REJECTION: (
        *("dealing-with-rejection", "being-ghosted", "rejecting-kindly", "getting-over-someone"),
        *("low-self-esteem", "dating-burnout", "dating-after-breakup"),
    ),
    Intent.CONVERSATION_COLD: (
        *("keeping-a-conversation-alive", "reviving-a-chat", "texting-habits"),
        *("replying-to-a-message", "asking-someone-out", "voice-and-calls"),
    ),
    Intent.HOW_EROS_WORKS: (
        *("how-matching-works", "likes-and-matches", "your-data", "settings-and-account"),
        *("what-the-assistant-can-do", "few-matches", "reporting-and-blocking"),
    ),
    Intent.PROFILE_HELP: (
        *("writing-a-bio", "choosing-photos", "honest-profile", "interests-that-help"),
    ),
    Intent.UNDERSTAND_MESSAGE: ("reading-a-message", "replying-to-a-message", "compliments"),
}
_REPLYING: Final = re.compile(
    r"\b(reply|respond|answer|response|write back|say back|contest\w*|respond\w*|respuesta)\b",
    re.IGNORECASE,
)


async def from_library(context: Context, intent: Intent) -> Reply:
    """The entry that fits best among those of the intent."""
    allowed = _ENTRIES[intent]
    hits = [hit for hit in context.library.find(context.text, 12) if hit.entry.id in allowed]
    chosen = hits[0].entry.id if hits else allowed[0]
    cited = context.library.cited(chosen, context.language)
    near = [hit.cited(context.language) for hit in hits[1:3]]
    text = context.library.entries[chosen].text[context.language]
    actions: tuple[Action, ...] = tuple(advice(one) for one in near)
    if intent is Intent.SAFETY:
        actions = (*actions, view_matches(context.language))
    return await context.with_note(Reply(text, actions, (cited,)))


async def profile_help(context: Context) -> Reply:
    """The person's own profile reviewed; without it, what holds for all."""
    language = context.language
    hits = [
        hit
        for hit in context.library.find(context.text, 6)
        if hit.entry.id in _ENTRIES[Intent.PROFILE_HELP]
    ]
    chosen = hits[0].entry if hits else context.library.entries["writing-a-bio"]
    cited = context.library.cited(chosen.id, language)
    actions = (edit_profile(language), advice(cited))
    prepared, own = await asyncio.gather(context.prepared(), context.own())
    if own is None:
        text = context.say(PROFILE_AWAY) + "\n\n" + chosen.text[language]
        return Reply(text, actions, (cited,))
    engine = Engine.EMBEDDED
    if prepared is not None:
        found, engine = prepared.review[language], Engine.PREPARED
    else:
        found = review(own, language)
    if found:
        text = context.say(REVIEW, lines=bulleted([one.text for one in found[:4]]))
    else:
        text = context.say(REVIEW_GOOD)
    if hits and hits[0].score >= KNOWN:
        # The question was about one thing in particular.
        text += "\n\n" + chosen.text[language]
    return Reply(text, actions, (cited,), engine)


def understand_message(context: Context, readings: Readings) -> Reply:
    """What was quoted, read as carefully as a few words allow."""
    language = context.language
    quote = quotation(context.text)
    replying = _REPLYING.search(fold(context.text)) is not None
    entry = "replying-to-a-message" if replying else "reading-a-message"
    cited = context.library.cited(entry, language)
    general = context.library.entries[entry].text[language]
    if not quote:
        return Reply(context.say(UNDERSTAND_PASTE, general=general), (advice(cited),), (cited,))
    reading = readings.of(quote, language)
    if reading is None:
        return Reply(general, (advice(cited),), (cited,))
    text = context.say(UNDERSTAND_QUOTED, quote=quote, reading=reading, general=general)
    return Reply(text, (advice(cited),), (cited,))


_SAID: Final = (
    ("thanks", re.compile(r"\b(thank\w*|thx|ty|cheers|appreciate\w*|gracias|grax|agradec\w*)\b")),
    (
        "bye",
        re.compile(r"\b(bye|goodbye|good night|see y\w+|later|adios|hasta|chao|buenas noches)\b"),
    ),
    (
        "joke",
        re.compile(r"\b(joke|funny|laugh|story|chiste|gracioso|reir|historia|bored|aburro)\b"),
    ),
    (
        "feelings",
        re.compile(
            r"\b(you (love|like|sleep|single)|are you|your|your (name|day)|who (are|made)|feelings|"
            r"eres|tienes|duermes|llamas|quieres|tu dia|color|favorit\w)\b"
        ),
    ),
)


def small_talk(context: Context) -> Reply:
    """A friendly word and what one could go on with."""
    folded = fold(context.text)
    kind = next((name for name, pattern in _SAID if pattern.search(folded)), "hello")
    follow = FOLLOW[context.language]
    actions = () if kind == "bye" else tuple(ask(question) for question in follow)
    return Reply(context.say(SMALL_TALK[kind]), actions)


async def none_of_these(context: Context) -> Reply:
    """An entry where one fits for certain; otherwise an honest no."""
    hits = context.library.find(context.text)
    if hits[0].score >= _CERTAIN:
        return await entry_reply(context, hits)
    return Reply(
        context.say(NONE), tuple(ask(one) for one in FOLLOW[context.language]), known=False
    )


async def library_answer(context: Context, question: str) -> Reply:
    """For a single question: the entry about it, or the nearest ones and a plain "not known"."""
    hits = context.library.find(question)
    if hits[0].score >= KNOWN:
        return await entry_reply(context, hits)
    cited = tuple(hit.cited(context.language) for hit in hits)
    titles = listed([f"“{one.title}”" for one in cited], context.language)
    return Reply(
        context.say(UNKNOWN, titles=titles), tuple(advice(one) for one in cited), cited, known=False
    )


async def entry_reply(context: Context, hits: list[Hit]) -> Reply:
    """The best entry, and where there is more on it."""
    best = hits[0]
    near: list[Cited] = [
        hit.cited(context.language) for hit in hits[1:] if hit.score >= KNOWN * 0.8
    ]
    text = best.entry.text[context.language]
    if near:
        titles = listed([one.title for one in near], context.language)
        text += "\n\n" + context.say(ALSO, titles=titles)
    cited = (best.cited(context.language), *near)
    return await context.with_note(Reply(text, tuple(advice(one) for one in near), cited))
