"""A review of one's own profile: concrete suggestions, the one that helps most first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from eros_advice.interests import named, topic_of
from eros_advice.people import Own
from eros_advice.texts import Language, listed

FEW_WORDS: Final = 15
MANY_WORDS: Final = 150
GOOD_PHOTOS: Final = 3
GOOD_INTERESTS: Final = 3

_NEGATIVE: Final = re.compile(
    r"\b(no drama|don'?t (?:message|write|bother)|not here for|hate|no (?:liars|time wasters)|"
    r"swipe left|tired of|sick of|odio|no me escribas|abstenerse|harta? de|cansad[oa] de)\b",
    re.IGNORECASE,
)
_CLICHE: Final = re.compile(
    r"\b(love to laugh|love laughing|partner in crime|work hard,? play hard|just ask|"
    r"live laugh love|fluent in sarcasm|me gusta re[ií]r|media naranja|pregunta y ya|"
    r"soy una persona normal)\b",
    re.IGNORECASE,
)
_CONTACT: Final = re.compile(
    r"@\w{3,}|\b(?:insta|instagram|snap|snapchat|telegram|whats ?app)\b|\+?\d[\d\s().-]{7,}\d",
    re.IGNORECASE,
)

_TEXTS: Final = {
    "market": {
        Language.EN: "Fill in {missing}: without it nobody can be matched with you.",
        Language.ES: "Completa {missing}: sin eso nadie puede emparejarse contigo.",
    },
    "contact": {
        Language.EN: "Take the contact data out of your bio: everybody sees it, scammers collect "
        "it. Exchange it once you know somebody.",
        Language.ES: "Quita los datos de contacto de tu biografía: los ve todo el mundo y los "
        "estafadores los coleccionan. Dalos cuando ya conozcas a alguien.",
    },
    "no_bio": {
        Language.EN: "Write a bio. Three sentences do: what a good Saturday looks like{hint}, what "
        "you could talk about for hours, and what you would like to find here.",
        Language.ES: "Escribe una biografía. Bastan tres frases: cómo es un buen sábado tuyo"
        "{hint}, de qué podrías hablar horas y qué te gustaría encontrar aquí.",
    },
    "short_bio": {
        Language.EN: "Your bio has only {words} words. Add one concrete detail that somebody could "
        "ask about{hint}.",
        Language.ES: "Tu biografía tiene solo {words} palabras. Añade un detalle concreto por el "
        "que alguien pueda preguntar{hint}.",
    },
    "long_bio": {
        Language.EN: "Your bio has {words} words; most people read the first forty. Put the best "
        "sentence first and cut the rest by half.",
        Language.ES: "Tu biografía tiene {words} palabras y casi todos leen las primeras cuarenta. "
        "Pon la mejor frase al principio y recorta el resto a la mitad.",
    },
    "negative": {
        Language.EN: "“{quote}” says what you don't want. Say what you do want instead: it invites "
        "the right people rather than warning the wrong ones.",
        Language.ES: "«{quote}» dice lo que no quieres. Di lo que sí quieres: invita a la gente "
        "adecuada en vez de avisar a la otra.",
    },
    "cliche": {
        Language.EN: "“{quote}” is in thousands of profiles. Swap it for an example that only fits "
        "you.",
        Language.ES: "«{quote}» está en miles de perfiles. Cámbialo por un ejemplo que solo encaje "
        "contigo.",
    },
    "question": {
        Language.EN: "End your bio with a small question, such as “{question}” It gives people "
        "something to answer.",
        Language.ES: "Termina la biografía con una pregunta pequeña, por ejemplo «{question}» Da "
        "pie a que te escriban.",
    },
    "no_photos": {
        Language.EN: "Add a photo: a clear one of your face in daylight, nobody else in it.",
        Language.ES: "Añade una foto: tu cara nítida, con luz de día y sin nadie más.",
    },
    "few_photos": {
        Language.EN: "You have {count} photo(s). Three tell a story: your face, all of you, and "
        "you doing something you love{hint}.",
        Language.ES: "Tienes {count} foto(s). Tres cuentan una historia: tu cara, de cuerpo entero "
        "y haciendo algo que te encante{hint}.",
    },
    "interests": {
        Language.EN: "Name at least three interests, the more specific the better: matches are "
        "found by what you share. You have {count}.",
        Language.ES: "Pon al menos tres intereses, cuanto más concretos mejor: las coincidencias "
        "se buscan por lo que compartís. Tienes {count}.",
    },
    "city": {
        Language.EN: "Say in which city you live, so that people nearby can be found.",
        Language.ES: "Indica en qué ciudad vives, para encontrar a gente cercana.",
    },
}
_MISSING: Final = {
    "age": {Language.EN: "your age", Language.ES: "tu edad"},
    "gender": {Language.EN: "your gender", Language.ES: "tu género"},
    "seeks": {Language.EN: "whom you seek", Language.ES: "a quién buscas"},
}
_SUCH_AS: Final = {Language.EN: " (for example {x})", Language.ES: " (por ejemplo {x})"}
_ANY_QUESTION: Final = {
    Language.EN: "What should I try next?",
    Language.ES: "¿Qué debería probar ahora?",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One change. `key` names the kind of it."""

    key: str
    text: str


def review(own: Own, language: Language) -> tuple[Suggestion, ...]:
    """What would make the profile better; nothing for one that lacks nothing."""
    return tuple(
        Suggestion(key, _TEXTS[key][language].format(**values))
        for key, values in _findings(own, language)
    )


def _findings(own: Own, language: Language) -> Iterator[tuple[str, dict[str, object]]]:
    lacks = {"age": own.age is None, "gender": own.gender is None, "seeks": not own.seeks}
    missing = [_MISSING[name][language] for name, absent in lacks.items() if absent]
    if missing:
        yield "market", {"missing": listed(missing, language)}
    hint = ""
    if own.interests:
        hint = _SUCH_AS[language].format(x=named(own.interests[0], language))
    if _CONTACT.search(own.bio):
        yield "contact", {}
    if own.photos == 0:
        yield "no_photos", {}
    yield from _bio_findings(own, language, hint)
    if 0 < own.photos < GOOD_PHOTOS:
        yield "few_photos", {"count": own.photos, "hint": hint}
    if len(own.interests) < GOOD_INTERESTS:
        yield "interests", {"count": len(own.interests)}
    if not own.city:
        yield "city", {}


def _bio_findings(
    own: Own, language: Language, hint: str
) -> Iterator[tuple[str, dict[str, object]]]:
    words = len(own.bio.split())
    if words == 0:
        yield "no_bio", {"hint": hint}
        return
    if found := _NEGATIVE.search(own.bio):
        yield "negative", {"quote": found.group()}
    if found := _CLICHE.search(own.bio):
        yield "cliche", {"quote": found.group()}
    if words < FEW_WORDS:
        yield "short_bio", {"words": words, "hint": hint}
    elif words > MANY_WORDS:
        yield "long_bio", {"words": words}
    if "?" not in own.bio:
        topics = [topic for one in own.interests if (topic := topic_of(one)) is not None]
        question = topics[0].question[language] if topics else _ANY_QUESTION[language]
        yield "question", {"question": question}
