"""The matcher's API in this process, over real gRPC, on a real database and a real cache."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from eros.accounts.v1 import profile_pb2
from eros.accounts.v1.accounts_pb2_grpc import (
    AccountsServiceStub,
    add_AccountsServiceServicer_to_server,
)
from eros.matcher.v1 import matcher_pb2 as pb
from eros.matcher.v1.matcher_pb2_grpc import (
    MatcherServiceStub,
    add_MatcherServiceServicer_to_server,
)
from eros_common.channel import open_channel
from eros_common.ids import UserId
from eros_common.phases import Window
from eros_common.postgres import open_pool
from eros_common.redis import Valkey, open_redis
from eros_common.testing import FakeClock, TestTokens, start_server
from eros_matcher.accounts import AccountsProfiles
from eros_matcher.domain.people import fit
from eros_matcher.features.analysis import filters_of
from eros_matcher.preview import Previews
from eros_matcher.reading import Reading
from eros_matcher.recent import RecentPeople
from eros_matcher.relations import Relations
from eros_matcher.servicer import MatcherServicer
from eros_matcher.shortcut import ShortLists
from eros_matcher.store_actions import PostgresActions
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.store_features import PostgresFeatures
from eros_matcher.store_jobs import mark_match_due
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_models import PostgresModels
from eros_matcher.store_relations import PostgresRelations
from eros_matcher.work import Work, open_work
from tests.integration.matcher.town import Nights, Town, local
from tests.unit.matcher.crowd import YEAR, a_profile

EVERYBODY = ("female", "male", "nonbinary")


@dataclass
class World:
    """A town, its matcher, and who is active; `ask` calls the API as somebody."""

    town: Town
    clock: FakeClock
    pool: asyncpg.Pool
    admin: asyncpg.Connection
    """Sees the other services' tables too."""
    cache: Valkey
    nights: Nights
    tokens: TestTokens
    stub: MatcherServiceStub
    short: ShortLists
    recent: RecentPeople
    work_of: Callable[..., Awaitable[Work]]
    """Another worker's, with settings of its own."""
    active: list[UserId] = field(default_factory=list)

    def people(self, count: int, seed: int = 1, **changes: object) -> list[UserId]:
        random = Random(seed)
        return [self.town.add(a_profile(random, **changes)) for _ in range(count)]

    def friends(self, count: int, seed: int = 1) -> list[UserId]:
        """People who all fit each other."""
        open_to_all = profile_pb2.Preferences(genders=EVERYBODY)
        return self.people(count, seed, preferences=open_to_all)

    def fit(self, a: UserId, b: UserId) -> bool:
        """Whether both pass each other's filters."""
        mine, theirs = (filters_of(self.town.profiles[user]) for user in (a, b))
        return mine is not None and theirs is not None and fit(mine, theirs, YEAR)

    def at(self, text: str) -> None:
        """Move the clocks to an instant (UTC), not back."""
        self.clock.advance((local(text) - self.clock.wall()).total_seconds())

    async def daily(self, user: UserId) -> pb.GetDailyMatchesResponse:
        request = pb.GetDailyMatchesRequest()
        return await self.stub.GetDailyMatches(request, metadata=self.tokens.user(user))

    async def on(self, user: UserId, date: str) -> pb.GetDailyMatchesByDateResponse:
        request = pb.GetDailyMatchesByDateRequest(date=date)
        return await self.stub.GetDailyMatchesByDate(request, metadata=self.tokens.user(user))

    async def beyond(
        self, user: UserId, limit: int | None = None
    ) -> pb.ListRecommendationsResponse:
        request = pb.ListRecommendationsRequest(limit=limit)
        return await self.stub.ListRecommendations(request, metadata=self.tokens.user(user))

    async def act(self, user: UserId, match: pb.Match, action: str) -> str:
        request = pb.ActOnMatchRequest(match_id=match.match_id, action=action)
        answer = await self.stub.ActOnMatch(request, metadata=self.tokens.user(user))
        assert answer.success
        return answer.message


@pytest.fixture
async def cache_url(valkey_url: str) -> str:
    """Replaced by tests whose cache is dead."""
    return valkey_url


@pytest.fixture
async def world(postgres_url: str, cache_url: str, tmp_path: Path) -> AsyncIterator[World]:
    clock, tokens = FakeClock(local("2026-03-02T12:00:00")), TestTokens()
    town = Town()  # type: ignore[abstract]
    async with AsyncExitStack() as stack:
        admin = await asyncpg.connect(postgres_url)
        stack.push_async_callback(admin.close)
        await _emptied(admin)
        accounts = await stack.enter_async_context(
            start_server(
                (add_AccountsServiceServicer_to_server, town), tokens=tokens, name="accounts"
            )
        )
        pool = await stack.enter_async_context(
            open_pool(postgres_url, app="matcher-test", role="eros_matcher")
        )
        cache = await stack.enter_async_context(
            open_redis(cache_url, app="matcher-test", timeout_seconds=0.25, retries=0)
        )

        def stub_of(service: str) -> AccountsServiceStub:
            channel = open_channel(
                accounts.address,
                audience="accounts",
                identity=tokens.identity(service),
                retry=False,
            )
            stack.push_async_callback(channel.close)
            return AccountsServiceStub(channel)

        def work_of(**settings: Any) -> Awaitable[Work]:
            return open_work(
                pool=settings.pop("pool", pool),
                database_url=SecretStr(postgres_url),
                accounts=stub_of("worker"),
                cache=cache,
                clock=clock,
                data_dir=settings.pop("data_dir", tmp_path),
                **settings,
            )

        work = await work_of()
        active: list[UserId] = []

        async def recent(limit: int) -> Sequence[UserId]:
            return active[:limit]

        lists = PostgresLists(pool)
        kept = ValkeyLists(cache)
        actions = PostgresActions(pool, kept)
        features = PostgresFeatures(pool)
        profiles = AccountsProfiles(stub_of("matcher"))
        recent_people = RecentPeople(
            records=features,
            profiles=profiles.of,
            models=PostgresModels(pool),
            recent=recent,
            clock=clock,
            renew_seconds=5.0,
        )
        previews = Previews(
            matches_a_day=10,
            renew_seconds=5.0,
            people=recent_people,
            features=features,
            lists=lists,
            queue=lambda user, zone: mark_match_due(pool, user, zone, clock.night()),
            clock=clock,
        )
        reading = Reading(
            lists=lists,
            cache=kept,
            profiles=profiles,
            previews=previews,
            clock=clock,
            window=Window(),
            default_zone="UTC",
        )
        relations = Relations(PostgresRelations(pool, kept), profiles, clock)
        server = await stack.enter_async_context(
            start_server(
                (
                    add_MatcherServiceServicer_to_server,
                    MatcherServicer(reading, actions, relations, clock),
                ),
                tokens=tokens,
                name="matcher",
            )
        )
        yield World(
            town=town,
            clock=clock,
            pool=pool,
            admin=admin,
            cache=cache,
            nights=Nights(pool, work, clock),
            tokens=tokens,
            stub=MatcherServiceStub(server.channel),
            short=ShortLists(reading),
            recent=recent_people,
            work_of=work_of,
            active=active,
        )


async def _emptied(admin: asyncpg.Connection) -> None:
    await admin.execute(
        """
        TRUNCATE matcher.features, matcher.vectors, matcher.matches, matcher.recommendations,
            matcher.actions, matcher.decisions, matcher.hidden, matcher.cache_drops,
            matcher.kept, matcher.erasures, matcher.learnings, matcher.models, scheduler.jobs
        """
    )
