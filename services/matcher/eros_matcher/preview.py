"""Matches at once, for who has none yet: the best of those who were active lately.

At most 2,000 people a gender are held in memory; where too few of them fit, some of everybody in
the market who might are looked at instead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from eros.accounts.v1 import profile_pb2
from eros_common import logging
from eros_common.clocks import Clock
from eros_common.errors import ErosError
from eros_common.ids import UserId
from eros_matcher.domain.lists import BEYOND, DAILY, MatchList, Source, Suggestion
from eros_matcher.domain.people import Filters, Gender
from eros_matcher.engine.search import search_one
from eros_matcher.features.analysis import analyze
from eros_matcher.features.interests import tokens
from eros_matcher.features.record import Record
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import Market
from eros_matcher.ports import CurrentLists, Seen, StoredModel

log = logging.get("matcher.preview")

ASKED: Final = 5000
A_GENDER: Final = 2000
_NEAR: Final = 500
_AT_ONCE: Final = 500
_MARKET: Final = "preview"
"""What the stored rows name as their market: it is gone in a minute."""


class Features(Protocol):
    """Who was analyzed, and who has seen whom."""

    async def records(
        self, users: Sequence[UserId], model_version: int
    ) -> dict[UserId, Record]: ...

    async def near(
        self, filters: Filters, model_version: int, year: int, most: int
    ) -> list[Record]: ...

    async def seen(self, dates: Mapping[UserId, date]) -> dict[UserId, Seen]: ...


class PreviewStore(Protocol):
    """Keeps previews, so that a match id is a stored one."""

    async def keep_preview(self, daily: MatchList, beyond: MatchList) -> CurrentLists: ...


class Models(Protocol):
    """Which model is served."""

    async def current(self) -> StoredModel: ...


@dataclass(frozen=True, slots=True)
class _Pool:
    """Who was active lately, under one model and year."""

    model: StoredModel
    year: int
    market: Market


class Previews:
    """Makes previews.

    `recent` gives the ids of active people, the latest first; `queue` makes the night's list due
    for a person and their time zone.
    """

    def __init__(
        self,
        *,
        features: Features,
        lists: PreviewStore,
        models: Models,
        recent: Callable[[int], Awaitable[Sequence[UserId]]],
        queue: Callable[[UserId, str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._features = features
        self._lists = lists
        self._models = models
        self._recent = recent
        self._queue = queue
        self._clock = clock
        self._pool: _Pool | None = None

    async def refresh(self) -> None:
        """Look again who is active; what was known stays where that fails."""
        model = await self._models.current()
        try:
            active = await self._recent(ASKED)
        except ErosError as error:
            log.warning("activity_unavailable", error=str(error))
            active = []
            if self._pool is not None and self._pool.model.version == model.version:
                return
        people: dict[UserId, Record] = {}
        for start in range(0, len(active), _AT_ONCE):
            some = active[start : start + _AT_ONCE]
            people |= await self._features.records(some, model.version)
        chosen = _at_most([people[user] for user in active if user in people], A_GENDER)
        year = self._clock.night().year
        market = await asyncio.to_thread(_market_of, chosen, year)
        self._pool = _Pool(model, year, market)
        log.debug("refreshed", people=market.people)

    async def make(self, profile: profile_pb2.MatchingProfile, day: date) -> CurrentLists:
        """Lists for somebody in the market, stored where anybody was found."""
        if self._pool is None:
            await self.refresh()
        pool = self._pool
        assert pool is not None
        person = analyze(profile, pool.model.model, pool.year)
        seen = (await self._features.seen({person.user_id: day}))[person.user_id]
        found = _search(pool.market, person, pool.year, seen)
        if len(found) < DAILY:
            found = max(found, await self._from_everybody(pool, person, seen), key=len)
        if not found:
            log.info("nobody", user=str(person.user_id))
            return CurrentLists()
        kept = await self._lists.keep_preview(
            self._list(person, day, found[:DAILY]), self._list(person, day, found[DAILY:])
        )
        await self._queue(person.user_id, person.zone)
        return kept

    async def _from_everybody(
        self, pool: _Pool, person: Record, seen: Seen
    ) -> tuple[Suggestion, ...]:
        assert person.filters is not None
        near = await self._features.near(person.filters, pool.model.version, pool.year, _NEAR)
        market = await asyncio.to_thread(_market_of, near, pool.year)
        return _search(market, person, pool.year, seen)

    def _list(self, person: Record, day: date, suggestions: tuple[Suggestion, ...]) -> MatchList:
        assert self._pool is not None
        return MatchList(
            user_id=person.user_id,
            list_date=day,
            source=Source.PREVIEW,
            suggestions=suggestions,
            model_version=self._pool.model.version,
            market_version=_MARKET,
            created_at=self._clock.wall(),
        )


def _search(market: Market, person: Record, year: int, seen: Seen) -> tuple[Suggestion, ...]:
    return search_one(
        market, person, DAILY + BEYOND, year, excluded=seen.excluded, shown=seen.shown
    )


def _market_of(people: Iterable[Record], year: int) -> Market:
    builder = MarketBuilder(year)
    for person in people:
        if person.filters is not None:
            builder.add(
                person.user_id.bytes, person.filters, person.vector, tokens(person.interests)
            )
    return builder.build()


def _at_most(people: Iterable[Record], a_gender: int) -> list[Record]:
    count: Counter[Gender] = Counter()
    chosen: list[Record] = []
    for person in people:
        if person.filters is not None and count[person.filters.gender] < a_gender:
            count[person.filters.gender] += 1
            chosen.append(person)
    return chosen
