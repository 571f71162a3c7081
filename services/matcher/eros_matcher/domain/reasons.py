"""Why two people are brought together, as one would say it. Pure.

Each sentence is a fact about the two, and is said because its term of the model speaks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MOST: Final = 3
LEAST: Final = 2
NEAR_KM: Final = 60
_NAMED: Final = 3
_NAMED_CHARACTERS: Final = 120

_VERBS: Final = {
    "speaks": "You both speak {}.",
    "has": "You both have {}.",
    "likes": "You both like {}.",
    "loves": "You both love {}.",
    "dislikes": "You both dislike {}.",
    "wants": "You both want {}.",
    "doesn't want": "Neither of you wants {}.",
    "doesn't have": "Neither of you has {}.",
}
"""Interests that say what somebody does; all others are things that one likes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """About one person and another who is suggested to them.

    The terms are what the model adds to the logit of liking the other for interests, age and
    place; `even` is the logit of the less keen of the two. `shared` interests are as the first
    person wrote them, the most telling first. `sought` is the first person's age range.
    """

    shared: Sequence[str]
    age: int
    other_age: int
    sought: tuple[int, int]
    distance_km: int | None
    interest_term: float
    age_term: float
    place_term: float
    even: float


def reasons(facts: Facts) -> tuple[str, ...]:
    """Two or three true sentences, the strongest first."""
    close = abs(facts.age - facts.other_age) <= 3
    spoken: list[tuple[float, str]] = []
    if facts.shared:
        spoken.append((facts.interest_term, shared_sentence(facts.shared)))
    if facts.distance_km is not None and facts.distance_km <= NEAR_KM:
        spoken.append((facts.place_term, _distance_sentence(facts.distance_km)))
    if close:
        spoken.append((facts.age_term, _age_sentence(facts)))
    if facts.even > 0:
        spoken.append((facts.even, "We expect the interest to be mutual."))
    best = sorted((one for one in spoken if one[0] > 0), key=lambda one: -one[0])[:MOST]
    sentences = [sentence for _, sentence in best]
    for sentence in ("Each of you is what the other looks for.", _age_sentence(facts)):
        if len(sentences) < LEAST and sentence not in sentences:
            sentences.append(sentence)
    return tuple(sentences)


def shared_sentence(shared: Sequence[str]) -> str:
    """The first shared interest, with the next ones of its kind."""
    template, _ = _phrase(shared[0])
    named: list[str] = []
    for text in shared:
        its_template, thing = _phrase(text)
        size = sum(map(len, named)) + len(thing)
        if its_template == template and len(named) < _NAMED and size <= _NAMED_CHARACTERS:
            named.append(thing)
    if len(named) > 1:
        named[-2:] = [f"{named[-2]} and {named[-1]}"]
    return template.format(", ".join(named))


@lru_cache(maxsize=65_536)
def _phrase(interest: str) -> tuple[str, str]:
    if ": " in interest:
        return "You both say {}.", f"“{interest}”"
    text = interest.replace("’", "'").replace("doesnt", "doesn't")
    for verb, template in _VERBS.items():
        if text.startswith(f"{verb} "):
            return template, text[len(verb) + 1 :]
    return "You both like {}.", interest


def _distance_sentence(kilometres: int) -> str:
    if kilometres < 1:
        return "You live less than a kilometre apart."
    return f"You live about {kilometres} km apart."


def _age_sentence(facts: Facts) -> str:
    apart = abs(facts.age - facts.other_age)
    if apart == 0:
        return "You are the same age."
    if apart <= 3:
        return "You are nearly the same age."
    low, high = facts.sought
    return f"At {facts.other_age}, they are within the ages you look for, {low} to {high}."
