"""What is done for batches: their input is read, their results are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from eros.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from eros_common.clocks import Clock
from eros_common.redis import Valkey
from eros_matcher.accounts import AccountsProfiles, KeptCards
from eros_matcher.filling import CacheFiller
from eros_matcher.programs.payload import LearnedModel
from eros_matcher.store_cache import ValkeyLists
from eros_matcher.store_features import PostgresFeatures
from eros_matcher.store_kept import PostgresKept
from eros_matcher.store_lists import PostgresLists
from eros_matcher.store_models import PostgresModels
from eros_matcher.work.learning import HostLearning
from eros_matcher.work.markets import HostMarkets
from eros_matcher.work.sink import MatcherSink
from eros_matcher.work.source import KEEP_FROM_PEOPLE, MatcherSource

__all__ = ["Work", "open_work"]


@dataclass(frozen=True, slots=True)
class Work:
    """For the worker: see `eros_matcher.worker.ports`."""

    source: MatcherSource
    sink: MatcherSink


async def open_work(
    *,
    pool: asyncpg.Pool,
    database_url: SecretStr,
    accounts: AccountsServiceStub,
    cache: Valkey,
    clock: Clock,
    data_dir: Path,
    congestion_strength: float = 1.0,
    matches_a_day: int = 10,
    lists_days: int = 31,
    learn_every_nights: int = 1,
    keep_from_people: int = KEEP_FROM_PEOPLE,
    learned: Callable[[int, LearnedModel, datetime], None] = lambda *_: None,
) -> Work:
    """Wire it; `pool` is in the role eros_matcher, `data_dir` this host's for market files."""
    models = PostgresModels(pool)
    await models.ensure_first(clock.wall())
    profiles = AccountsProfiles(accounts)
    markets = HostMarkets(pool, database_url, data_dir)
    learning = HostLearning(pool, database_url, data_dir)
    lists = PostgresLists(pool)
    features = PostgresFeatures(pool)
    source = MatcherSource(
        features=features,
        models=models,
        kept=PostgresKept(pool),
        profiles=profiles,
        markets=markets,
        lists=lists,
        learning=learning,
        clock=clock,
        congestion_strength=congestion_strength,
        matches_a_day=matches_a_day,
        learn_every_nights=learn_every_nights,
        keep_from_people=keep_from_people,
    )
    filler = CacheFiller(lists, ValkeyLists(cache))
    cards = KeptCards(profiles.of, clock.monotonic)
    sink = MatcherSink(
        *(lists, cards, filler, cache, clock, learning, matches_a_day, lists_days),
        learned=learned,
    )
    return Work(source, sink)
