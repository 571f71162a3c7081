"""Answers as they are sent, and as they are cached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from google.protobuf import json_format

from eros.matcher.v1 import matcher_pb2
from eros_common.ids import UserId
from eros_common.shortcut.printing import printer
from eros_matcher.domain.cards import Card
from eros_matcher.domain.lists import Suggestion, match_id

Shown = Sequence[tuple[Suggestion, Card]]
Printed = bytes
"""An answer as it goes to the phone: JSON."""

DEFAULT_LIMIT: Final = 10
"""Of recommendations, where none is asked for."""

ALL_ANSWERED: Final = "You have answered everybody for now. New people come overnight."
NOBODY: Final = "Nobody fits right now. A wider age range or distance would let in more people."

CACHED_BYTES: Final = 20_000
"""A cached list at most: both lists and everything else stay below 50 KB a person."""
_PHOTOS: Final = (12, 6, 3, 1, 0)
_DECIMALS: Final = 4
"""Of a score: the model does not know it to more."""

_DAILY: Final = printer(matcher_pb2.GetDailyMatchesResponse.DESCRIPTOR)
_BEYOND: Final = printer(matcher_pb2.ListRecommendationsResponse.DESCRIPTOR)
_BETWEEN: Final = b'},{"matchId":'
"""Between two matches, and nowhere else: in a text of JSON a quote is escaped."""
_CACHED: Final = b'"source":"cache"'


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


def printed_daily(
    matches: Sequence[matcher_pb2.Match], list_date: date, source: str, message: str
) -> Printed:
    """The day's list. `message` says why an empty one is empty."""
    return _DAILY(
        matcher_pb2.GetDailyMatchesResponse(
            success=True,
            matches=matches,
            source=source,
            date=list_date.isoformat(),
            message=None if matches else message,
        )
    )


def printed_beyond(matches: Sequence[matcher_pb2.Match], message: str) -> Printed:
    """The recommendations; a shorter list is cut from it by `shortened`."""
    return _BEYOND(
        matcher_pb2.ListRecommendationsResponse(
            success=True,
            recommendations=matches,
            count=len(matches),
            message=None if matches else message,
        )
    )


def from_source(answer: Printed, source: str) -> Printed:
    """What `cached_daily` printed, as not from the cache."""
    return answer.replace(_CACHED, b'"source":"%s"' % source.encode())


def shortened(answer: Printed, limit: int) -> Printed:
    """Printed recommendations, at most `limit` of them."""
    first = answer.split(_BETWEEN, limit)
    if len(first) <= limit:
        return answer
    return b'%s}],"count":%d}' % (_BETWEEN.join(first[:limit]), limit)


def cached_daily(user: UserId, list_date: date, shown: Shown, year: int) -> Printed:
    """A stored daily list, printed for the cache, with as many photos as fit."""
    for photos in _PHOTOS:
        matches = matches_of(user, list_date, shown, year, photos)
        data = printed_daily(matches, list_date, "cache", ALL_ANSWERED)
        if len(data) <= CACHED_BYTES:
            break
    return data


def cached_beyond(user: UserId, list_date: date, shown: Shown, year: int) -> Printed:
    """Stored recommendations, printed for the cache, with as many photos as fit."""
    for photos in _PHOTOS:
        matches = matches_of(user, list_date, shown, year, photos)
        data = printed_beyond(matches, NOBODY)
        if len(data) <= CACHED_BYTES:
            break
    return data


def daily_of(printed: Printed) -> matcher_pb2.GetDailyMatchesResponse:
    """What `printed_daily` printed."""
    # Whoever printed it may be newer.
    answer = matcher_pb2.GetDailyMatchesResponse()
    return json_format.Parse(printed, answer, ignore_unknown_fields=True)


def beyond_of(printed: Printed) -> matcher_pb2.ListRecommendationsResponse:
    """What `printed_beyond` printed, or a shortened one."""
    answer = matcher_pb2.ListRecommendationsResponse()
    return json_format.Parse(printed, answer, ignore_unknown_fields=True)
