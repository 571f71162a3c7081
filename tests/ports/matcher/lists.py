"""Lists and records for tests of the stores."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from eros_common.ids import UserId
from eros_matcher.domain.lists import MatchList, Source, Suggestion

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def person(number: int) -> UserId:
    return UserId(UUID(int=0xE805 << 112 | number << 64 | 0x80 << 56 | number))


def a_list(
    user: UserId,
    others: list[UserId],
    *,
    day: date = TODAY,
    source: Source = Source.MATCH,
    at: datetime = NOW,
) -> MatchList:
    return MatchList(
        user_id=user,
        list_date=day,
        source=source,
        suggestions=tuple(
            Suggestion(other, 0.5 / 2**index, None if index == 1 else index, ("So.", "There."))
            for index, other in enumerate(others)
        ),
        model_version=1,
        market_version="m1",
        created_at=at,
    )
