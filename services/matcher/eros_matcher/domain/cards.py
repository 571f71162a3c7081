"""What is shown of a person beside a match. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from eros_common.ids import UserId
from eros_matcher.domain.lists import MatchList, Suggestion
from eros_matcher.domain.people import Filters, fit


@dataclass(frozen=True, slots=True)
class Card:
    """As accounts knows the person now. `filters` is None for somebody not in the market."""

    user_id: UserId
    name: str
    birth_year: int | None
    photos: tuple[str, ...]
    filters: Filters | None


def presentable(
    matches: MatchList,
    own: Card,
    cards: Mapping[UserId, Card],
    gone: Container[tuple[UserId, UserId]],
    year: int,
) -> Iterator[tuple[Suggestion, Card]]:
    """Those of a list who can still be shown: there, not decided, within both sides' filters.

    The night knew yesterday's profiles; this is the last look before a person sees the list.
    """
    if own.filters is None:
        return
    for suggestion in matches.suggestions:
        card = cards.get(suggestion.other_id)
        if card is None or card.filters is None or (own.user_id, card.user_id) in gone:
            continue
        if fit(own.filters, card.filters, year):
            yield suggestion, card
