"""Answers as they are sent, and as they are cached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from eros.matcher.v1 import matcher_pb2
from eros_common.ids import UserId
from eros_matcher.domain.cards import Card
from eros_matcher.domain.lists import Suggestion, match_id

Shown = Sequence[tuple[Suggestion, Card]]

DEFAULT_LIMIT: Final = 10
"""Of recommendations, where none is asked for."""

ALL_ANSWERED: Final = "You have answered everybody for now. New people come overnight."
NOBODY: Final = "Nobody fits right now. A wider age range or distance would let in more people."

CACHED_BYTES: Final = 20_000
"""A cached list at most: both lists and everything else stay below 50 KB a person."""
_PHOTOS: Final = (12, 6, 3, 1, 0)
_DECIMALS: Final = 4
"""Of a score: the model does not know it to more."""


def matches_of(
    user: UserId, list_date: date, shown: Shown, year: int, photos: int = _PHOTOS[0]
) -> list[matcher_pb2.Match]:
    """The people of a list, with at most so many photos each."""
    return [
        matcher_pb2.Match(
            match_id=str(match_id(user, suggestion.other_id, list_date)),
            user_id=str(card.user_id),
            name=card.name,
            age=0 if card.birth_year is None else year - card.birth_year,
            photos=card.photos[:photos],
            distance_km=suggestion.distance_km,
            score=round(suggestion.score, _DECIMALS),
            reasons=suggestion.reasons,
        )
        for suggestion, card in shown
    ]


def daily_answer(
    matches: Sequence[matcher_pb2.Match], list_date: date, source: str, message: str | None = None
) -> matcher_pb2.GetDailyMatchesResponse:
    """The day's list. `message` says why an empty one is empty."""
    return matcher_pb2.GetDailyMatchesResponse(
        success=True,
        matches=matches,
        source=source,
        date=list_date.isoformat(),
        message=None if matches else message,
    )


def beyond_answer(
    matches: Sequence[matcher_pb2.Match], message: str | None = None
) -> matcher_pb2.ListRecommendationsResponse:
    """The recommendations; a shorter list is cut from it by `shortened`."""
    return matcher_pb2.ListRecommendationsResponse(
        success=True,
        recommendations=matches,
        count=len(matches),
        message=None if matches else message,
    )


def shortened(
    answer: matcher_pb2.ListRecommendationsResponse, limit: int
) -> matcher_pb2.ListRecommendationsResponse:
    """At most `limit` of them."""
    del answer.recommendations[limit:]
    answer.count = len(answer.recommendations)
    return answer


def cached_daily(user: UserId, list_date: date, shown: Shown, year: int) -> bytes:
    """A stored daily list as bytes for the cache, with as many photos as fit."""
    for photos in _PHOTOS:
        matches = matches_of(user, list_date, shown, year, photos)
        data = daily_answer(matches, list_date, "cache", ALL_ANSWERED).SerializeToString()
        if len(data) <= CACHED_BYTES:
            break
    return data


def cached_beyond(user: UserId, list_date: date, shown: Shown, year: int) -> bytes:
    """Stored recommendations as bytes for the cache, with as many photos as fit."""
    for photos in _PHOTOS:
        matches = matches_of(user, list_date, shown, year, photos)
        data = beyond_answer(matches, NOBODY).SerializeToString()
        if len(data) <= CACHED_BYTES:
            break
    return data
