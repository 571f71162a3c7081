"""Both stores behind their ports."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from eros_activity.domain.cursor import Cursor
from eros_activity.domain.people import Rules, Transition, UserKey
from eros_activity.ports import PeopleStore, SourceRegister, TransitionLog
from eros_activity.store_memory import MemoryLog, MemoryPeople, MemorySources
from eros_activity.store_valkey import ValkeyPeople
from eros_activity.store_valkey_log import ValkeyLog
from eros_activity.store_valkey_sources import ValkeySources
from eros_activity.valkey_functions import Functions
from eros_common.clocks import SystemClock
from eros_common.phases import IdleThresholds
from eros_common.redis import open_redis

DAY = 86400.0
NOW = 1_790_000_000.0
RULES = Rules(IdleThresholds(), session_end=600.0, forget_after=30 * DAY)
SHARDS = 4


@dataclass(frozen=True, slots=True)
class Stores:
    people: PeopleStore
    log: TransitionLog
    sources: SourceRegister

    async def since(self, cursor: Cursor) -> list[Transition]:
        """All transitions behind a cursor."""
        found: list[Transition] = []
        while entries := await self.log.read(cursor, 1000):
            for entry in entries:
                cursor = cursor.advanced(entry.stream, entry.id)
                found += entry.transitions
        return found


def memory_stores(rules: Rules = RULES) -> Stores:
    log = MemoryLog()
    clock = SystemClock()
    return Stores(MemoryPeople(rules, log, clock), log, MemorySources(clock))


@asynccontextmanager
async def valkey_stores(
    url: str,
    rules: Rules = RULES,
    *,
    shard_count: int = SHARDS,
    kept_seconds: float = 600.0,
    page: int = 500,
    longest_pause: float = 1e300,
    wall: Callable[[], float] = time.time,
) -> AsyncIterator[Stores]:
    async with (
        open_redis(url, app="test", timeout_seconds=5) as redis,
        open_redis(url, app="test", timeout_seconds=5) as reading,
    ):
        functions = Functions(redis)
        log = ValkeyLog(functions, reading, shard_count=shard_count, longest_pause=longest_pause)
        try:
            yield Stores(
                ValkeyPeople(
                    functions,
                    rules,
                    shard_count=shard_count,
                    kept_seconds=kept_seconds,
                    page=page,
                    wall=wall,
                ),
                log,
                ValkeySources(functions),
            )
        finally:
            await log.close()


def user(number: int) -> UserKey:
    """A user id by number: ids of one instant are in another order than their numbers."""
    return UserKey((number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128).to_bytes(16, "big"))
