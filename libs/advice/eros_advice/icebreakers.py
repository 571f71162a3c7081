"""First lines to somebody, made of what the two profiles say and of nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from eros_advice.interests import named, topic_of
from eros_advice.people import Other, Own, shared_interests
from eros_advice.texts import Language

MOST: Final = 3
_LONGEST_INTEREST: Final = 40
_QUOTED: Final = 90
_SENTENCE: Final = re.compile(r"[^.!?…\n]+[.!?…]?")
# Nobody wants to be reminded of these in a first line; and what is no interest at all.
_UNSAID: Final = re.compile(r":|http|@|\d{4,}|\b(sex|money|dinero|sexo)\b", re.IGNORECASE)

_BOTH: Final = {
    Language.EN: (
        "Hi {name}! I see that we both like {x}. {question}",
        "{name}, somebody else who is into {x}! {question}",
        "Hi {name}, our profiles agree on {x}, so I have to ask: {question}",
    ),
    Language.ES: (
        "¡Hola, {name}! Veo que compartimos una afición: {x}. {question}",
        "{name}, ¡por fin otra persona que disfruta con {x}! {question}",
        "Hola, {name}. Nuestros perfiles coinciden en {x}, así que pregunto: {question}",
    ),
}
_THEIRS: Final = {
    Language.EN: (
        "Hi {name}! Your profile mentions {x}. {question}",
        "{name}, I'm curious about one thing in your profile, {x}. {question}",
    ),
    Language.ES: (
        "¡Hola, {name}! En tu perfil mencionas {x}. {question}",
        "{name}, me dio curiosidad algo de tu perfil: {x}. {question}",
    ),
}
_ANY_QUESTION: Final = {
    Language.EN: "How did you get into it?",
    Language.ES: "¿Cómo empezaste con eso?",
}
_BIO: Final = {
    Language.EN: "Hi {name}! You wrote “{quote}” and I'd love to hear the story behind it.",
    Language.ES: "¡Hola, {name}! Escribiste «{quote}» y me encantaría oír la historia que hay "
    "detrás.",
}
_CITY: Final = {
    Language.EN: "Hi {name}! You're in {city} too, so: which corner of it should everybody know?",
    Language.ES: "¡Hola, {name}! Veo que también estás en {city}: ¿qué rincón debería conocer todo "
    "el mundo?",
}
_PLAIN: Final = {
    Language.EN: (
        "Hi {name}! What was the best part of your week so far?",
        "Hi {name}! If tomorrow were free, how would you spend the morning?",
        "Hi {name}! What could you talk about for an hour without preparing?",
    ),
    Language.ES: (
        "¡Hola, {name}! ¿Qué ha sido lo mejor de tu semana hasta ahora?",
        "¡Hola, {name}! Si mañana tuvieras el día libre, ¿qué harías por la mañana?",
        "¡Hola, {name}! ¿De qué podrías hablar una hora sin preparar nada?",
    ),
}


def openings(own: Own, other: Other, language: Language, count: int = MOST) -> tuple[str, ...]:
    """Up to `count` first lines, the one that says most about both first.

    The same two people always get the same lines.
    """
    found: list[str] = []
    for line in _lines(own, other, language):
        if line not in found:
            found.append(line)
        if len(found) == count:
            break
    return tuple(found)


def _lines(own: Own, other: Other, language: Language) -> Iterator[str]:
    start = _turn(own.name, other.user_id)
    shared = [one for one in shared_interests(own, other) if _sayable(one)]
    for index, interest in enumerate(shared[:2]):
        template = _BOTH[language][(start + index) % len(_BOTH[language])]
        yield _about(template, other.name, interest, language)
    if quote := quotable(other.bio):
        yield _BIO[language].format(name=other.name, quote=quote)
    # What the library has a question for comes first.
    theirs = sorted(
        (one for one in other.interests if one not in shared and _sayable(one)),
        key=lambda one: topic_of(one) is None,
    )
    for index, interest in enumerate(theirs[:2]):
        template = _THEIRS[language][(start + index) % len(_THEIRS[language])]
        yield _about(template, other.name, interest, language)
    if own.city and other.city and own.city.casefold() == other.city.casefold():
        yield _CITY[language].format(name=other.name, city=other.city)
    plain = _PLAIN[language]
    for index in range(len(plain)):
        yield plain[(start + index) % len(plain)].format(name=other.name)


def quotable(bio: str) -> str:
    """A sentence of a bio that can be quoted, or nothing."""
    for found in _SENTENCE.finditer(bio):
        sentence = found.group().strip().rstrip(".")
        if 12 <= len(sentence) <= _QUOTED and not _UNSAID.search(sentence):
            return sentence
    return ""


def _about(template: str, name: str, interest: str, language: Language) -> str:
    topic = topic_of(interest)
    question = _ANY_QUESTION[language] if topic is None else topic.question[language]
    return template.format(name=name, x=named(interest, language), question=question)


def _sayable(interest: str) -> bool:
    return len(interest) <= _LONGEST_INTEREST and not _UNSAID.search(interest)


def _turn(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=2).digest()
    return int.from_bytes(digest)
