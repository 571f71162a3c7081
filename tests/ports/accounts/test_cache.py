from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis

from eros_accounts.ports import CachedView
from eros_accounts.store_cache import RETRY_SECONDS, VERSION_SECONDS, ValkeyProfileCache
from eros_accounts.store_database import Database
from eros_accounts.store_drops import PostgresCacheDrops
from eros_common.cache_reads import CacheReads
from eros_common.errors import Unavailable
from eros_common.ids import new_user_id
from eros_common.postgres import open_pool
from eros_common.postgres_drops import OwedDrops
from eros_common.redis import Valkey, open_redis
from eros_common.testing import FakeClock

OWN, PUBLIC = CachedView.OWN, CachedView.PUBLIC


@pytest.fixture
def drops(database: Database) -> PostgresCacheDrops:
    return PostgresCacheDrops(database)


@pytest.fixture
def cache(redis: Valkey, drops: PostgresCacheDrops) -> ValkeyProfileCache:
    return ValkeyProfileCache(redis, FakeClock(), CacheReads(redis, FakeClock()), drops)


@asynccontextmanager
async def running(cache: ValkeyProfileCache) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_was_filled_is_found_for_its_time(
    cache: ValkeyProfileCache, redis: Valkey
) -> None:
    user = new_user_id()
    assert await cache.get(OWN, user) is None
    await cache.fill(OWN, user, 1, b"own")
    await cache.fill(PUBLIC, user, 1, b"public")
    assert await cache.get(OWN, user) == b"own"
    assert await cache.get(PUBLIC, user) == b"public"
    assert 43_190 < await redis.ttl(f"profile:{user}") <= 12 * 3600
    assert 290 < await redis.ttl(f"profile:public:{user}") <= 300
    assert await redis.get(f"profile:{user}") == b"own"


async def test_a_change_deletes_both_keys_and_nobody_elses(
    cache: ValkeyProfileCache, redis: Valkey
) -> None:
    user, other = new_user_id(), new_user_id()
    for someone in (user, other):
        for view in CachedView:
            await cache.fill(view, someone, 1, b"data")
    await cache.forget(user, 2)
    assert await redis.exists(f"profile:{user}", f"profile:public:{user}") == 0
    assert await redis.exists(f"profile:{other}", f"profile:public:{other}") == 2


async def test_a_slow_reader_does_not_put_back_what_was_changed(
    cache: ValkeyProfileCache, redis: Valkey
) -> None:
    user = new_user_id()
    await cache.forget(user, 2)
    for view in CachedView:
        await cache.fill(view, user, 1, b"old")
        assert await cache.get(view, user) is None
    await cache.fill(OWN, user, 2, b"new")
    assert await cache.get(OWN, user) == b"new", "who read after the change may fill at once"
    assert 0 < await redis.ttl(f"{{profile:{user}}}:version") <= VERSION_SECONDS


async def test_drops_that_overtake_each_other_leave_the_newest_version(
    cache: ValkeyProfileCache,
) -> None:
    user = new_user_id()
    await cache.forget(user, 3)
    await cache.forget(user, 2)
    await cache.fill(OWN, user, 2, b"old")
    assert await cache.get(OWN, user) is None


async def test_a_burst_is_no_outage(cache: ValkeyProfileCache) -> None:
    users = [new_user_id() for _ in range(300)]
    await asyncio.gather(*(cache.fill(OWN, user, 1, b"data") for user in users))
    assert await asyncio.gather(*(cache.get(OWN, user) for user in users)) == [b"data"] * 300
    assert not cache.is_away()


async def test_a_dead_cache_finds_nothing_and_raises_nothing(drops: PostgresCacheDrops) -> None:
    async with open_redis("redis://127.0.0.1:1", app="test", retries=0) as redis:
        cache, user = (
            ValkeyProfileCache(redis, FakeClock(), CacheReads(redis, FakeClock()), drops),
            new_user_id(),
        )
        assert not cache.is_away()
        assert await cache.get(OWN, user) is None
        assert cache.is_away()
        await cache.fill(OWN, user, 1, b"data")
        await cache.forget(user, 2)


async def test_nobody_waits_for_a_cache_that_is_away(
    cache: ValkeyProfileCache, redis: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def fail(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise TimeoutError

    user = new_user_id()
    monkeypatch.setattr(redis, "execute_command", fail)
    for _ in range(5):
        assert await cache.get(OWN, user) is None
        await cache.fill(OWN, user, 1, b"data")
        await cache.forget(user, 2)
    assert asked == 1


async def test_what_changed_while_it_was_away_is_dropped_before_it_is_used_again(
    valkey_url: str, drops: PostgresCacheDrops
) -> None:
    clock, user = FakeClock(), new_user_id()
    others = [new_user_id() for _ in range(700)]
    async with (
        Redis.from_url(valkey_url) as redis,
        open_redis("redis://127.0.0.1:1", app="test", retries=0) as nowhere,
    ):
        for someone in (user, *others):
            await redis.set(f"profile:{someone}", b"old")
        assert isinstance(nowhere, Redis)
        cache = ValkeyProfileCache(nowhere, clock, CacheReads(nowhere, clock), drops)
        for someone in (user, *others):
            await cache.forget(someone, 5)
        assert cache.is_away()
        async with running(cache):
            await clock.slept()
            clock.advance(RETRY_SECONDS)
            await clock.slept()
            assert cache.is_away(), "still nobody there"
            assert await redis.get(f"profile:{user}") == b"old"
            # The network is mended: the same client reaches the server now.
            nowhere.connection_pool = redis.connection_pool
            clock.advance(RETRY_SECONDS)
            while cache.is_away():
                await asyncio.sleep(0)
        assert not await redis.exists(f"profile:{user}", *(f"profile:{other}" for other in others))
        await cache.fill(OWN, user, 4, b"old")
        assert await cache.get(OWN, user) is None
        await nowhere.aclose()


def owed_by(cache: ValkeyProfileCache, pool: asyncpg.Pool) -> OwedDrops:
    return OwedDrops(pool, "accounts.cache_drops", cache.drop_owed, FakeClock(), 1)


async def test_what_one_process_could_not_drop_another_does(
    cache: ValkeyProfileCache, pool: asyncpg.Pool, drops: PostgresCacheDrops
) -> None:
    users = [new_user_id() for _ in range(500)]
    async with open_redis("redis://127.0.0.1:1", app="test", retries=0) as nowhere:
        cut_off = ValkeyProfileCache(nowhere, FakeClock(), CacheReads(nowhere, FakeClock()), drops)
        for user in users:
            await cache.fill(OWN, user, 1, b"old")
            await cut_off.forget(user, 3)
        await cut_off.forget(users[0], 2)
        assert await owed_by(cut_off, pool).make_up() == 0
    assert await cache.get(OWN, users[0]) == b"old"
    assert await owed_by(cache, pool).make_up() >= len(users)
    assert await owed_by(cache, pool).make_up() == 0
    for user in users:
        assert await cache.get(OWN, user) is None
    await cache.fill(OWN, users[0], 2, b"old")
    assert await cache.get(OWN, users[0]) is None, "the newest of what was owed counts"


async def test_what_cannot_be_dropped_late_is_owed_still(
    cache: ValkeyProfileCache,
    redis: Valkey,
    pool: asyncpg.Pool,
    drops: PostgresCacheDrops,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user, cut_off = (
        new_user_id(),
        ValkeyProfileCache(redis, FakeClock(), CacheReads(redis, FakeClock()), drops),
    )
    await cache.fill(OWN, user, 1, b"old")
    await drops.owe(user, 2)

    async def fail(*_: object, **__: object) -> None:
        raise TimeoutError

    with monkeypatch.context() as gone:
        gone.setattr(redis, "execute_command", fail)
        assert await owed_by(cut_off, pool).make_up() == 0
        assert cut_off.is_away()
    assert await owed_by(cache, pool).make_up() == 1
    assert await cache.get(OWN, user) is None


async def test_where_nothing_can_be_told_a_save_is_not_acknowledged(
    postgres_url: str, redis: Valkey
) -> None:
    async with open_redis("redis://127.0.0.1:1", app="test", retries=0) as nowhere:
        async with open_pool(postgres_url, role="eros_accounts", app="test") as pool:
            drops = PostgresCacheDrops(Database(pool))
            cache = ValkeyProfileCache(nowhere, FakeClock(), CacheReads(redis, FakeClock()), drops)
        with pytest.raises(Unavailable):
            await cache.forget(new_user_id(), 2)
