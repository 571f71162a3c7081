"""What a person is shown: from the cache, else from what is stored, else a preview."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from eros.accounts.v1 import profile_pb2
from eros.matcher.v1 import matcher_pb2
from eros_common.clocks import Clock
from eros_common.ids import UserId
from eros_common.phases import Window
from eros_matcher.accounts import AccountsProfiles, Profiles, card_of
from eros_matcher.answers import (
    NOBODY,
    Printed,
    from_source,
    matches_of,
    printed_beyond,
    printed_daily,
    shortened,
)
from eros_matcher.domain.lists import MatchList, Source, list_date_at, oldest_current
from eros_matcher.features.analysis import missing_of
from eros_matcher.filling import CacheFiller
from eros_matcher.ports import CurrentLists, ListCache, ListKind
from eros_matcher.preview import Previews
from eros_matcher.store_lists import PostgresLists

_ANY_ZONE: Final = timedelta(days=3)
"""Before the zone is known: no current list of any zone is older than this."""
_EVERYTHING: Final = ("your age", "your gender", "whom you seek")


@dataclass(frozen=True, slots=True)
class _Read:
    """One list as it is cached; `answer` is None where there is none, `message` says why."""

    day: date
    source: str
    answer: Printed | None
    message: str = ""


class Reading:
    """Answers for the three ways to ask."""

    def __init__(
        self,
        *,
        lists: PostgresLists,
        cache: ListCache,
        profiles: AccountsProfiles,
        previews: Previews,
        clock: Clock,
        window: Window,
        default_zone: str,
    ) -> None:
        self._lists = lists
        self._cache = cache
        self._filler = CacheFiller(lists, cache)
        self._profiles = profiles
        self._previews = previews
        self._clock = clock
        self._window = window
        self._default_zone = default_zone

    async def daily(self, user: UserId) -> Printed:
        """The current daily list."""
        if cached := await self._cache.get(ListKind.DAILY, user):
            return cached
        read = await self._read(user, ListKind.DAILY)
        if read.answer is None:
            return printed_daily((), read.day, read.source, read.message)
        return from_source(read.answer, read.source)

    async def beyond(self, user: UserId, limit: int) -> Printed:
        """The first of the current recommendations."""
        answer = await self._cache.get(ListKind.BEYOND, user)
        if answer is None:
            read = await self._read(user, ListKind.BEYOND)
            answer = read.answer or printed_beyond((), read.message)
        return shortened(answer, limit)

    async def on(self, user: UserId, day: date) -> matcher_pb2.GetDailyMatchesByDateResponse:
        """The daily list of a day as it was, but for those who are hidden or gone."""
        stored = await self._lists.daily_on(user, day)
        matches: list[matcher_pb2.Match] = []
        if stored is not None:
            pairs = [(user, s.other_id) for s in stored.suggestions]
            hidden = await self._lists.hidden(pairs)
            profiles = await self._profiles.of(other for _, other in pairs)
            shown = [
                (s, card_of(profiles[s.other_id]))
                for s in stored.suggestions
                if s.other_id in profiles and (user, s.other_id) not in hidden
            ]
            matches = matches_of(user, day, shown, self._clock.night().year)
        return matcher_pb2.GetDailyMatchesByDateResponse(
            success=True, matches=matches, count=len(matches), date=day.isoformat()
        )

    async def _read(self, user: UserId, kind: ListKind) -> _Read:
        night = self._clock.night()
        since = night.date() - _ANY_ZONE
        stored = await self._lists.newest(kind, user, since)
        profiles = await self._profiles.of([user, *_people_of(stored)])
        own = profiles.get(user)
        expected = self._expected(own, night)
        if message := _what_to_fill_in(own):
            return _Read(expected, "database", None, message)
        assert own is not None
        if stored is None or stored.list_date < oldest_current(expected):
            stored = (await self._previews.make(own, expected)).of(kind)
            profiles |= await self._profiles.of(_people_of(stored) - profiles.keys())
        if stored is None or not stored.suggestions:
            return _Read(expected, "preview", None, NOBODY)
        return await self._answered(user, kind, stored, profiles, expected)

    async def _answered(
        self, user: UserId, kind: ListKind, stored: MatchList, profiles: Profiles, expected: date
    ) -> _Read:
        known = (
            CurrentLists(daily=stored) if kind is ListKind.DAILY else CurrentLists(beyond=stored)
        )
        cards = {other: card_of(profile) for other, profile in profiles.items()}
        year = self._clock.night().year
        answers = await self._filler.fill({user: known}, cards, {user: expected}, year)
        source = "preview" if stored.source is Source.PREVIEW else "database"
        return _Read(stored.list_date, source, answers[kind, user])

    def _expected(self, own: profile_pb2.MatchingProfile | None, night: datetime) -> date:
        zone = own.location.time_zone if own is not None else ""
        return list_date_at(night, zone or self._default_zone, self._window)


def _people_of(stored: MatchList | None) -> set[UserId]:
    return set() if stored is None else {s.other_id for s in stored.suggestions}


def _what_to_fill_in(own: profile_pb2.MatchingProfile | None) -> str:
    missing = _EVERYTHING if own is None else missing_of(own)
    if not missing:
        return ""
    return f"Add {_listed(missing)} to your profile to meet people."


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
