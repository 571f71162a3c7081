"""Failed logins are spaced, per address, whether there is such an account or not."""

from __future__ import annotations

import pytest

from eros_accounts.domain.sessions import Throttling
from eros_accounts.store_throttle import ValkeyThrottle
from eros_common.errors import RateLimited
from eros_common.redis import open_redis

RULES = Throttling(failures=3, window_seconds=900, pause_seconds=30)


async def test_attempts_are_spaced_after_too_many_failures(cache_url: str) -> None:
    async with open_redis(cache_url, app="test") as redis:
        throttle = ValkeyThrottle(redis, RULES)
        for _ in range(RULES.failures):
            await throttle.enter("ann@example.com")
            await throttle.failed("ann@example.com")
        # One more attempt every half minute, right or wrong.
        await throttle.enter("Ann@Example.com ")
        with pytest.raises(RateLimited) as refused:
            await throttle.enter("ann@example.com")
        assert 0 < (refused.value.retry_after or 0) <= RULES.pause_seconds
        await throttle.enter("bob@example.com")
        await throttle.succeeded("ann@example.com")
        await throttle.enter("ann@example.com")


async def test_without_valkey_nobody_is_held_back() -> None:
    async with open_redis("redis://127.0.0.1:1", app="test", retries=0) as nowhere:
        throttle = ValkeyThrottle(nowhere, RULES)
        for _ in range(2 * RULES.failures):
            await throttle.enter("ann@example.com")
            await throttle.failed("ann@example.com")
