"""Matches at once, for who has none yet: the best of those who were active lately.

Where too few of them fit, some of everybody in the market who might are looked at instead, and
where still nobody does, whoever came since the last look. A search of so few takes a millisecond of
the loop, which is less than handing it to a thread would be worth; the kernel is for one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Final, Protocol

from eros.accounts.v1 import profile_pb2
from eros_common import logging
from eros_common.clocks import Clock
from eros_common.ids import UserId
from eros_matcher.domain.lists import BEYOND, MatchList, Source, Suggestion
from eros_matcher.domain.people import Filters
from eros_matcher.engine.search import search_one
from eros_matcher.features.analysis import analyze
from eros_matcher.features.record import Record
from eros_matcher.market.market import Market
from eros_matcher.ports import CurrentLists, Seen
from eros_matcher.recent import Pool, RecentPeople, market_of
from eros_matcher.sparing import Sparing

log = logging.get("matcher.preview")

_NEAR: Final = 500
_MARKET: Final = "preview"
"""What the stored rows name as their market: it is gone in a minute."""


class Features(Protocol):
    """Who might fit, and who has seen whom."""

    async def near(
        self, filters: Filters, model_version: int, year: int, most: int
    ) -> list[Record]: ...

    async def seen(self, dates: Mapping[UserId, date]) -> dict[UserId, Seen]: ...


class PreviewStore(Protocol):
    """Keeps previews, so that a match id is a stored one."""

    async def keep_preview(self, daily: MatchList, beyond: MatchList) -> CurrentLists: ...


class Previews:
    """Makes previews.

    `queue` makes the night's list due for a person and their time zone. `renew_seconds` is how
    long who was active lately stays as it is: for so long nobody is looked for again in vain.
    """

    def __init__(
        self,
        *,
        people: RecentPeople,
        features: Features,
        lists: PreviewStore,
        queue: Callable[[UserId, str], Awaitable[None]],
        clock: Clock,
        matches_a_day: int,
        renew_seconds: float,
    ) -> None:
        self._sparing = Sparing(self._make, clock, renew_seconds)
        self._daily = matches_a_day
        self._people = people
        self._features = features
        self._lists = lists
        self._queue = queue
        self._clock = clock

    async def make(self, profile: profile_pb2.MatchingProfile, day: date) -> CurrentLists:
        """Lists for somebody in the market, stored where anybody was found."""
        return await self._sparing.make(profile, day)

    async def _make(self, profile: profile_pb2.MatchingProfile, day: date) -> CurrentLists:
        pool = await self._people.pool()
        person = analyze(profile, pool.model.model, pool.year)
        seen = (await self._features.seen({person.user_id: day}))[person.user_id]
        found = self._search(pool, pool.market, person, seen)
        if len(found) < self._daily:
            found = max(found, await self._from_everybody(pool, person, seen), key=len)
        if not found:
            pool = await self._people.renewed()
            found = self._search(pool, pool.market, person, seen)
        if not found:
            log.info("nobody", user=str(person.user_id))
            return CurrentLists()
        kept = await self._lists.keep_preview(
            self._list(pool, person, day, found[: self._daily]),
            self._list(pool, person, day, found[self._daily :]),
        )
        await self._queue(person.user_id, person.zone)
        return kept

    async def _from_everybody(
        self, pool: Pool, person: Record, seen: Seen
    ) -> tuple[Suggestion, ...]:
        assert person.filters is not None
        near = await self._features.near(person.filters, pool.model.version, pool.year, _NEAR)
        market = await asyncio.to_thread(market_of, near, pool.year)
        return self._search(pool, market, person, seen)

    def _search(
        self, pool: Pool, market: Market, person: Record, seen: Seen
    ) -> tuple[Suggestion, ...]:
        return search_one(
            market,
            person,
            self._daily + BEYOND,
            pool.year,
            mutual=pool.model.model.mutual,
            daily=self._daily,
            excluded=seen.excluded,
            shown=seen.shown,
        )

    def _list(
        self, pool: Pool, person: Record, day: date, suggestions: tuple[Suggestion, ...]
    ) -> MatchList:
        return MatchList(
            user_id=person.user_id,
            list_date=day,
            source=Source.PREVIEW,
            suggestions=suggestions,
            model_version=pool.model.version,
            market_version=_MARKET,
            created_at=self._clock.wall(),
        )
