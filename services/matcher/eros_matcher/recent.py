"""Who was active lately, as a small market in memory: whom a preview is made of.

At most 2,000 people a gender. Whoever was not analyzed yet, because no night has passed since they
came, is analyzed here from their profile; that is kept for some minutes and not stored.

All of it is done on the loop, a hundred people at a time and with breaths in between. A thread that
computes keeps the interpreter's lock for 5 ms each time the loop wants it back, which is after each
of the dozen things an answer waits for.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from eros.accounts.v1 import profile_pb2
from eros_common import logging
from eros_common.clocks import Clock
from eros_common.errors import ErosError
from eros_common.ids import UserId
from eros_common.tasks import Breather
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
_AT_ONCE: Final = 100
"""People looked up together: a millisecond of the loop."""
_BREATH_SECONDS: Final = 0.001
_REST_SECONDS: Final = 0.004
"""While nobody waits for the result, four fifths of the loop are for whoever waits for another."""
_KEPT_SECONDS: Final = 300.0
"""Of newcomers: analyzing thousands is a fifth of a second of the processor."""


class Records(Protocol):
    """Who was analyzed."""

    async def records(
        self, users: Sequence[UserId], model_version: int
    ) -> dict[UserId, Record]: ...


class Models(Protocol):
    """Which model is served."""

    async def current(self) -> StoredModel: ...


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody in the market who was analyzed here; looked at again from `until` (monotonic) on."""

    record: Record
    until: float


@dataclass(frozen=True, slots=True)
class Pool:
    """Who was active lately, under one model and year; `made_at` is monotonic seconds."""

    model: StoredModel
    year: int
    market: Market
    made_at: float
    newcomers: Mapping[UserId, Newcomer] = field(default_factory=dict)


class RecentPeople:
    """`recent` gives the ids of active people, the latest first; `profiles` whole profiles."""

    def __init__(
        self,
        *,
        records: Records,
        profiles: Callable[[Iterable[UserId]], Awaitable[Profiles]],
        models: Models,
        recent: Callable[[int], Awaitable[Iterable[UserId]]],
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
        """Look again who is active, while nobody waits; what was known stays where that fails."""
        return await self._look(Breather(_BREATH_SECONDS, _REST_SECONDS), self._pool)

    async def pool(self) -> Pool:
        """Who was active at the last look."""
        return self._pool or await self._look(Breather(_BREATH_SECONDS), None)

    async def renewed(self) -> Pool:
        """The same, looked at again if that was more than `renew_seconds` ago."""
        async with self._renewing:
            pool = await self.pool()
            if self._clock.monotonic() - pool.made_at < self._renew_seconds:
                return pool
            # Nobody was found: what newcomers were kept as may be the reason.
            return await self._look(Breather(_BREATH_SECONDS), None)

    async def _look(self, breather: Breather, last: Pool | None) -> Pool:
        model = await self._models.current()
        year = self._clock.night().year
        known: Mapping[UserId, Newcomer] = {}
        if last is not None and (last.model.version, last.year) == (model.version, year):
            known = last.newcomers
        people: Sequence[Record] = ()
        newcomers: Mapping[UserId, Newcomer] = {}
        try:
            active = await self._recent(ASKED)
            people, newcomers = await self._people(active, model, year, known, breather)
        except ErosError as error:
            log.warning("peer_unavailable", error=str(error))
            if self._pool is not None and self._pool.model.version == model.version:
                return self._pool
        builder = MarketBuilder(year)
        for person in _at_most(people, A_GENDER):
            _add(builder, person)
            await breather.breathe()
        market = builder.build()
        self._pool = Pool(model, year, market, self._clock.monotonic(), newcomers)
        log.debug("refreshed", people=market.people)
        return self._pool

    async def _people(
        self,
        active: Iterable[UserId],
        model: StoredModel,
        year: int,
        known: Mapping[UserId, Newcomer],
        breather: Breather,
    ) -> tuple[Sequence[Record], Mapping[UserId, Newcomer]]:
        """Those of the active whom anything is known of, in their order; and who of them is new."""
        found: list[Record] = []
        newcomers: dict[UserId, Newcomer] = {}
        now = self._clock.monotonic()
        ids = iter(active)
        while some := list(islice(ids, _AT_ONCE)):
            people = await self._records.records(some, model.version)
            await breather.breathe()
            for user in some:
                if user not in people and user in known and now < known[user].until:
                    newcomers[user] = known[user]
                    people[user] = known[user].record
            profiles = await self._profiles(user for user in some if user not in people)
            for user, profile in profiles.items():
                if (record := _analyzed(user, profile, model, year)) is not None:
                    people[user] = record
                    if record.filters is not None:
                        newcomers[user] = Newcomer(record, now + _KEPT_SECONDS)
                await breather.breathe()
            found += [people[user] for user in some if user in people]
        return found, newcomers


def market_of(people: Iterable[Record], year: int) -> Market:
    """A market of those who are in it."""
    builder = MarketBuilder(year)
    for person in people:
        _add(builder, person)
    return builder.build()


def _add(builder: MarketBuilder, person: Record) -> None:
    if person.filters is not None:
        builder.add(
            *(person.user_id.bytes, person.filters, person.vector),
            *(tokens(person.interests), person.price),
        )


def _analyzed(
    user: UserId, profile: profile_pb2.MatchingProfile, model: StoredModel, year: int
) -> Record | None:
    try:
        return analyze(profile, model.model, year)
    except ValueError as error:
        log.warning("profile_unreadable", user=str(user), error=str(error))
        return None


def _at_most(people: Iterable[Record], a_gender: int) -> Iterator[Record]:
    count: Counter[Gender] = Counter()
    for person in people:
        if person.filters is not None and count[person.filters.gender] < a_gender:
            count[person.filters.gender] += 1
            yield person
