"""What an entry of the library says to one person in particular: a note below its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from eros_advice.icebreakers import openings
from eros_advice.interests import Topic, topic_of
from eros_advice.people import Other, Own, shared_interests
from eros_advice.review import review
from eros_advice.situations import FAR_KM
from eros_advice.texts import Language, bulleted

_BIO: Final = frozenset(
    ("contact", "no_bio", "short_bio", "long_bio", "negative", "cliche", "question")
)
_PHOTOS: Final = frozenset(("no_photos", "few_photos"))
# Which suggestions of a review belong to which entry.
_SUGGESTIONS: Final = {
    "writing-a-bio": _BIO,
    "choosing-photos": _PHOTOS,
    "few-matches": frozenset(("market", "interests", "city")) | _BIO | _PHOTOS,
}
_MOST_SUGGESTIONS: Final = 2

_REVIEWED: Final = {
    Language.EN: "In your profile:\n{lines}",
    Language.ES: "En tu perfil:\n{lines}",
}
_ABOUT_A_MATCH: Final = {
    "first-message": {
        Language.EN: "To {name}, for example: “{line}”",
        Language.ES: "A {name}, por ejemplo: «{line}»",
    },
    "long-distance-matches": {
        Language.EN: "{name} lives about {km} km from you.",
        Language.ES: "{name} vive a unos {km} km de ti.",
    },
    "planning-a-first-date": {
        Language.EN: "With {name}, as you both name {x}: {date}.",
        Language.ES: "Con {name}, porque coincidís en {x}: {date}.",
    },
    "keeping-a-conversation-alive": {
        Language.EN: "With {name}, as you both name {x}: “{question}”",
        Language.ES: "Con {name}, porque coincidís en {x}: «{question}»",
    },
}

NOTED: Final = frozenset(_SUGGESTIONS) | frozenset(_ABOUT_A_MATCH)
"""Ids of the entries that can have one."""


@dataclass(frozen=True, slots=True)
class Note:
    """`about` is the user id of the match that it speaks of; empty where it is of none."""

    text: str
    about: str = ""


def note(entry: str, own: Own, others: Sequence[Other], language: Language) -> Note | None:
    """The note to an entry; None where there is nothing particular to say.

    `others` are the matches, the best first.
    """
    if entry in _SUGGESTIONS:
        found = [one.text for one in review(own, language) if one.key in _SUGGESTIONS[entry]]
        if not found:
            return None
        return Note(_REVIEWED[language].format(lines=bulleted(found[:_MOST_SUGGESTIONS])))
    if entry not in _ABOUT_A_MATCH:
        return None
    said = _ABOUT_A_MATCH[entry][language]
    if entry == "first-message":
        for other in others[:1]:
            line = openings(own, other, language, 1)[0]
            return Note(said.format(name=other.name, line=line), other.user_id)
        return None
    if entry == "long-distance-matches":
        for other in others:
            if other.distance_km is not None and other.distance_km > FAR_KM:
                km = round(other.distance_km)
                return Note(said.format(name=other.name, km=km), other.user_id)
        return None
    for other in others:
        topic = _shared_topic(own, other)
        if topic is not None:
            text = said.format(
                name=other.name,
                x=topic.name[language],
                date=topic.date[language],
                question=topic.question[language],
            )
            return Note(text, other.user_id)
    return None


def _shared_topic(own: Own, other: Other) -> Topic | None:
    topics = (topic_of(interest) for interest in shared_interests(own, other))
    return next((topic for topic in topics if topic is not None), None)
