"""Lists as they are cached: printed once, shortened as they are, read back by calls."""

from __future__ import annotations

from datetime import date

import pytest

from eros.matcher.v1 import matcher_pb2 as pb
from eros_common.ids import new_user_id
from eros_common.shortcut.printing import printer
from eros_matcher.answers import (
    CACHED_BYTES,
    Shown,
    beyond_of,
    cached_beyond,
    cached_daily,
    daily_of,
    shortened,
)
from eros_matcher.domain.cards import Card
from eros_matcher.domain.lists import Suggestion

ME, DAY, YEAR = new_user_id(), date(2026, 11, 26), 2026
#: Some as if they were what stands between two matches, or at the end.
NAMES = ("Ana", '},{"matchId":"', '}],"count":1}', 'Zoë "🦔" <\u2028>')
PRINT = printer(pb.ListRecommendationsResponse.DESCRIPTOR)


def shown(count: int, photos: int = 1) -> Shown:
    urls = tuple(f"https://photos.example.org/{number}/{'x' * 200}" for number in range(photos))
    people = [
        Card(new_user_id(), NAMES[number % len(NAMES)], 1990, urls, None) for number in range(count)
    ]
    return [(Suggestion(card.user_id, 0.5, 12, ("You both hike",)), card) for card in people]


@pytest.mark.parametrize("count", [0, 1, 4, 12])
def test_a_shortened_list_is_what_the_shorter_one_would_have_been(count: int) -> None:
    people = shown(count)
    printed = cached_beyond(ME, DAY, people, YEAR)
    for limit in (1, 3, 4, 5, 50):
        short = shortened(printed, limit)
        assert short == cached_beyond(ME, DAY, people[:limit], YEAR)
        assert PRINT(beyond_of(short)) == short
        assert [match.name for match in beyond_of(short).recommendations] == [
            card.name for _, card in people[:limit]
        ]


@pytest.mark.parametrize("count", [0, 1, 10])
def test_a_call_reads_what_was_printed(count: int) -> None:
    people = shown(count)
    answer = daily_of(cached_daily(ME, DAY, people, YEAR))
    assert (answer.success, answer.source, answer.date) == (True, "cache", "2026-11-26")
    assert answer.HasField("message") == (count == 0)
    assert [(m.user_id, m.name, m.age, m.score, list(m.reasons)) for m in answer.matches] == [
        (str(card.user_id), card.name, 36, 0.5, ["You both hike"]) for _, card in people
    ]


def test_what_a_newer_release_printed_can_be_read() -> None:
    assert daily_of(b'{"success":true,"newer":[{"a":1}],"date":"2026-11-26"}').success
    assert beyond_of(b'{"success":true,"count":2,"newer":1}').count == 2


def test_a_list_that_is_too_long_has_fewer_photos() -> None:
    for photos, kept in ((1, 1), (12, 6)):
        printed = cached_beyond(ME, DAY, shown(10, photos), YEAR)
        assert len(printed) <= CACHED_BYTES
        assert {len(match.photos) for match in beyond_of(printed).recommendations} == {kept}
