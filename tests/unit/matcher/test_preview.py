"""What a preview costs, however often somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import cast

import pytest

from eros.accounts.v1 import profile_pb2
from eros_common.ids import UserId
from eros_common.testing import FakeClock
from eros_matcher.domain.lists import MatchList
from eros_matcher.domain.people import Filters
from eros_matcher.features.record import Record
from eros_matcher.ports import CurrentLists, Seen, StoredModel
from eros_matcher.preview import Previews
from eros_matcher.recent import Pool, RecentPeople, market_of
from tests.unit.matcher.crowd import MODEL, YEAR, a_crowd, a_profile

TODAY = date(YEAR, 3, 2)
RENEW_SECONDS = 5.0
NOBODY = CurrentLists()


@dataclass
class Played:
    """Who was active, who is near, and what is kept; `looks` counts the previews made of it."""

    clock: FakeClock = field(default_factory=FakeClock)
    people: list[Record] = field(default_factory=list)
    looks: int = 0
    fault: Exception | None = None
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go_on.set()

    async def pool(self) -> Pool:
        model = StoredModel(1, MODEL, "", self.clock.wall())
        return Pool(model, YEAR, market_of(self.people, YEAR), self.clock.monotonic())

    async def renewed(self) -> Pool:
        return await self.pool()

    async def near(
        self, filters: Filters, model_version: int, year: int, most: int
    ) -> list[Record]:
        return []

    async def seen(self, dates: Mapping[UserId, date]) -> dict[UserId, Seen]:
        self.looks += 1
        await self.go_on.wait()
        if self.fault is not None:
            raise self.fault
        return {user: Seen(b"", b"") for user in dates}

    async def keep_preview(self, daily: MatchList, beyond: MatchList) -> CurrentLists:
        return CurrentLists(daily, beyond)

    async def queue(self, user: UserId, zone: str) -> None:
        pass

    def previews(self) -> Previews:
        return Previews(
            people=cast("RecentPeople", self),
            features=self,
            lists=self,
            queue=self.queue,
            clock=self.clock,
            matches_a_day=10,
            renew_seconds=RENEW_SECONDS,
        )


def somebody(**changes: object) -> profile_pb2.MatchingProfile:
    return a_profile(Random(7), **changes)


async def test_nobody_is_not_looked_for_again_at_once() -> None:
    played = Played()
    previews = played.previews()
    for _ in range(100):
        assert await previews.make(somebody(), TODAY) == NOBODY
    assert played.looks == 1
    played.clock.advance(RENEW_SECONDS)
    for _ in range(100):
        assert await previews.make(somebody(), TODAY) == NOBODY
    assert played.looks == 2


async def test_somebody_else_another_day_or_profile_is_looked_for_at_once() -> None:
    played = Played(people=a_crowd(50))
    previews = played.previews()
    picky = somebody(preferences=profile_pb2.Preferences(genders=["female"], age_min=120))
    assert await previews.make(picky, TODAY) == NOBODY
    assert await previews.make(picky, date(YEAR, 3, 3)) == NOBODY
    open_to_all = profile_pb2.Preferences(genders=("female", "male", "nonbinary"))
    found = await previews.make(somebody(preferences=open_to_all), TODAY)
    assert found.daily is not None
    assert found.daily.suggestions
    assert played.looks == 3


async def test_whoever_asks_at_the_same_time_gets_the_same() -> None:
    played = Played(people=a_crowd(50))
    previews = played.previews()
    played.go_on.clear()
    asking = [asyncio.create_task(previews.make(somebody(), TODAY)) for _ in range(20)]
    await asyncio.sleep(0)
    # Whoever came first hangs up: the others get it all the same.
    asking[0].cancel()
    played.go_on.set()
    first, *others = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(others[0], CurrentLists)
    assert others == [others[0]] * 19
    assert others[0].daily is not None
    assert played.looks == 1


async def test_a_fault_is_everybodys_and_not_remembered() -> None:
    played = Played(fault=OSError("away"))
    previews = played.previews()
    asking = [previews.make(somebody(), TODAY) for _ in range(3)]
    assert await asyncio.gather(*asking, return_exceptions=True) == [played.fault] * 3
    assert played.looks == 1
    with pytest.raises(OSError, match="away"):
        await previews.make(somebody(), TODAY)
    played.fault = None
    assert await previews.make(somebody(), TODAY) == NOBODY
