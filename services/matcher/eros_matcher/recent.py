"""Who was active lately, as a small market in memory: whom a preview is made of.

At most 2,000 people a gender. Whoever was not analyzed yet, because no night has passed since they
came, is analyzed here from their profile; that is not stored.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from eros_common import logging
from eros_common.clocks import Clock
from eros_common.errors import ErosError
from eros_common.ids import UserId
from eros_matcher.accounts import Profiles
from eros_matcher.domain.people import Gender
from eros_matcher.features.analysis import analyze
from eros_matcher.features.interests import tokens
from eros_matcher.features.record import Record
from eros_matcher.market.build import MarketBuilder
from eros_matcher.market.market import Market
from eros_matcher.ports import StoredModel

log = logging.get("matcher.recent")

ASKED: Final = 5000
A_GENDER: Final = 2000
_AT_ONCE: Final = 500


class Records(Protocol):
    """Who was analyzed."""

    async def records(
        self, users: Sequence[UserId], model_version: int
    ) -> dict[UserId, Record]: ...


class Models(Protocol):
    """Which model is served."""

    async def current(self) -> StoredModel: ...


@dataclass(frozen=True, slots=True)
class Pool:
    """Who was active lately, under one model and year; `made_at` is monotonic seconds."""

    model: StoredModel
    year: int
    market: Market
    made_at: float


class RecentPeople:
    """`recent` gives the ids of active people, the latest first; `profiles` whole profiles."""

    def __init__(
        self,
        *,
        records: Records,
        profiles: Callable[[Iterable[UserId]], Awaitable[Profiles]],
        models: Models,
        recent: Callable[[int], Awaitable[Sequence[UserId]]],
        clock: Clock,
        renew_seconds: float,
    ) -> None:
        self._records = records
        self._profiles = profiles
        self._models = models
        self._recent = recent
        self._clock = clock
        self._renew_seconds = renew_seconds
        self._renewing = asyncio.Lock()
        self._pool: Pool | None = None

    async def refresh(self) -> Pool:
        """Look again who is active; what was known stays where that fails."""
        model = await self._models.current()
        try:
            active = await self._recent(ASKED)
            people = await self._people(active, model)
        except ErosError as error:
            log.warning("peer_unavailable", error=str(error))
            if self._pool is not None and self._pool.model.version == model.version:
                return self._pool
            active, people = [], {}
        chosen = _at_most([people[user] for user in active if user in people], A_GENDER)
        year = self._clock.night().year
        market = await asyncio.to_thread(market_of, chosen, year)
        self._pool = Pool(model, year, market, self._clock.monotonic())
        log.debug("refreshed", people=market.people)
        return self._pool

    async def pool(self) -> Pool:
        """Who was active at the last look."""
        return self._pool or await self.refresh()

    async def renewed(self) -> Pool:
        """The same, looked at again if that was more than `renew_seconds` ago."""
        async with self._renewing:
            pool = await self.pool()
            if self._clock.monotonic() - pool.made_at < self._renew_seconds:
                return pool
            return await self.refresh()

    async def _people(self, active: Sequence[UserId], model: StoredModel) -> dict[UserId, Record]:
        people: dict[UserId, Record] = {}
        for start in range(0, len(active), _AT_ONCE):
            some = active[start : start + _AT_ONCE]
            people |= await self._records.records(some, model.version)
        new = await self._profiles(user for user in active if user not in people)
        people |= await asyncio.to_thread(_analyzed, new, model, self._clock.night().year)
        return people


def market_of(people: Iterable[Record], year: int) -> Market:
    """A market of those who are in it."""
    builder = MarketBuilder(year)
    for person in people:
        if person.filters is not None:
            builder.add(
                *(person.user_id.bytes, person.filters, person.vector),
                *(tokens(person.interests), person.price),
            )
    return builder.build()


def _analyzed(profiles: Profiles, model: StoredModel, year: int) -> dict[UserId, Record]:
    found: dict[UserId, Record] = {}
    for user, profile in profiles.items():
        try:
            found[user] = analyze(profile, model.model, year)
        except ValueError as error:
            log.warning("profile_unreadable", user=str(user), error=str(error))
    return found


def _at_most(people: Iterable[Record], a_gender: int) -> list[Record]:
    count: Counter[Gender] = Counter()
    chosen: list[Record] = []
    for person in people:
        if person.filters is not None and count[person.filters.gender] < a_gender:
            count[person.filters.gender] += 1
            chosen.append(person)
    return chosen
