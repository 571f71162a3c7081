"""Which questions a person's situation makes likely. The answers are entries of the library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from eros_advice.people import Other, Own
from eros_advice.review import GOOD_PHOTOS, review
from eros_advice.texts import Language

MOST: Final = 6
FAR_KM: Final = 60.0


def likely_questions(own: Own, others: Sequence[Other]) -> tuple[str, ...]:
    """Ids of entries, the likeliest first."""
    return tuple(dict.fromkeys(_entries(own, others)))[:MOST]


def _entries(own: Own, others: Sequence[Other]) -> Iterator[str]:
    lacks = {suggestion.key for suggestion in review(own, Language.EN)}
    if not others:
        yield "few-matches"
    if lacks & {"no_bio", "short_bio", "cliche", "negative"}:
        yield "writing-a-bio"
    if own.photos < GOOD_PHOTOS:
        yield "choosing-photos"
    if others:
        yield "first-message"
    if any(other.distance_km is not None and other.distance_km > FAR_KM for other in others):
        yield "long-distance-matches"
    if own.age is not None and own.age >= 50:
        yield "dating-after-50"
    yield "planning-a-first-date"
    yield "keeping-a-conversation-alive"
    yield "spotting-scams"
