"""Who was active lately: whom a look asks for, and whom it leaves as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from eros_common.errors import Unavailable
from eros_common.ids import UserId, user_id_from_bytes
from eros_common.testing import FakeClock
from eros_matcher import recent
from eros_matcher.accounts import Profiles
from eros_matcher.features.record import Record
from eros_matcher.ports import StoredModel
from eros_matcher.recent import RecentPeople
from tests.unit.matcher.crowd import MODEL, a_crowd, a_profile

KEPT_SECONDS = 300.0
RENEW_SECONDS = 5.0


@dataclass
class Town:
    """Who is active, the latest first; who was analyzed by night; everybody's profile."""

    clock: FakeClock = field(default_factory=FakeClock)
    active: list[UserId] = field(default_factory=list)
    analyzed: dict[UserId, Record] = field(default_factory=dict)
    written: Profiles = field(default_factory=dict)
    version: int = 1
    away: bool = False
    asked: list[UserId] = field(default_factory=list)

    def newcomer(self, number: int, **changes: object) -> UserId:
        profile = a_profile(Random(number), **changes)
        user = user_id_from_bytes(profile.user_id)
        self.written[user] = profile
        self.active.append(user)
        return user

    async def records(self, users: Sequence[UserId], model_version: int) -> dict[UserId, Record]:
        return {user: self.analyzed[user] for user in users if user in self.analyzed}

    async def profiles(self, users: Iterable[UserId]) -> Profiles:
        wanted = list(users)
        self.asked += wanted
        return {user: self.written[user] for user in wanted if user in self.written}

    async def current(self) -> StoredModel:
        return StoredModel(self.version, MODEL, "", self.clock.wall())

    async def recent(self, limit: int) -> Iterable[UserId]:
        if self.away:
            raise Unavailable("activity does not answer")
        return self.active[:limit]

    def people(self) -> RecentPeople:
        return RecentPeople(
            records=self,
            profiles=self.profiles,
            models=self,
            recent=self.recent,
            clock=self.clock,
            renew_seconds=RENEW_SECONDS,
        )


async def test_a_newcomer_is_analyzed_once_in_five_minutes() -> None:
    town = Town()
    users = [town.newcomer(number) for number in range(3)]
    people = town.people()
    for _ in range(3):
        assert (await people.refresh()).market.people == 3
    assert town.asked == users
    town.clock.advance(KEPT_SECONDS)
    await people.refresh()
    assert town.asked == users * 2


async def test_whoever_is_not_in_the_market_yet_is_asked_for_each_time() -> None:
    town = Town()
    town.newcomer(1)
    user = town.newcomer(2, gender="")
    people = town.people()
    assert (await people.refresh()).market.people == 1
    town.written[user] = a_profile(Random(2), gender="female")
    assert (await people.refresh()).market.people == 2


async def test_another_model_or_year_leaves_nobody_as_they_were() -> None:
    town = Town()
    user = town.newcomer(1)
    people = town.people()
    await people.refresh()
    town.version = 2
    await people.refresh()
    assert town.asked == [user] * 2
    town.clock.advance(366 * 86400)
    await people.refresh()
    assert town.asked == [user] * 3


async def test_where_nobody_was_found_newcomers_are_looked_at_anew() -> None:
    town = Town()
    user = town.newcomer(1)
    people = town.people()
    await people.refresh()
    await people.renewed()
    assert town.asked == [user]
    town.clock.advance(RENEW_SECONDS)
    await people.renewed()
    assert town.asked == [user] * 2


async def test_nobody_is_lost_or_doubled_between_the_hundreds() -> None:
    town = Town()
    crowd = [record for record in a_crowd(700) if record.filters is not None][:450]
    for number, record in enumerate(crowd):
        town.active.append(record.user_id)
        if number % 3:
            town.analyzed[record.user_id] = record
        else:
            profile = a_profile(Random(number))
            profile.user_id = record.user_id.bytes
            town.written[record.user_id] = profile
    people = town.people()
    for _ in range(2):
        market = (await people.refresh()).market
        assert sorted(map(bytes, market.ids)) == sorted(user.bytes for user in town.active)


async def test_so_many_of_a_gender_the_latest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "A_GENDER", 2)
    town = Town()
    women = [town.newcomer(number, gender="female") for number in range(5)]
    man = town.newcomer(9, gender="male")
    market = (await town.people().refresh()).market
    assert set(map(bytes, market.ids)) == {user.bytes for user in (*women[:2], man)}


async def test_what_was_known_stays_while_others_do_not_answer() -> None:
    town = Town()
    town.newcomer(1)
    people = town.people()
    known = await people.refresh()
    town.away = True
    assert await people.refresh() is known
    town.version = 2
    assert (await people.refresh()).market.people == 0
