"""Hits and misses of the cache: each is counted once, in Valkey and for telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from opentelemetry.metrics import CallbackOptions

from eros_common.cache_reads import CacheReads, Reads, read_counts
from eros_common.clocks import Clock
from eros_common.redis import Valkey, open_redis


class Turns:
    """A clock that sleeps until it is told to wake up."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(0)

    async def sleep(self, _: float) -> None:
        await self.turns.acquire()


async def _until(redis: Valkey, expected: Mapping[str, Reads]) -> None:
    async with asyncio.timeout(10):
        while await read_counts(redis) != expected:
            await asyncio.sleep(0.01)


async def test_each_read_is_counted_once(valkey_url: str) -> None:
    async with open_redis(valkey_url, app="test") as redis:
        clock = Turns()
        reads = CacheReads(redis, cast("Clock", clock))
        running = asyncio.create_task(reads.run())
        try:
            for hits in (1, 2, 3):
                reads.note("matches:daily", hit=True)
                if hits == 2:
                    reads.note("profile", hit=False)
                clock.turns.release()
                missed = {} if hits == 1 else {"profile": Reads(0, 1)}
                await _until(redis, {"matches:daily": Reads(hits, 0), **missed})
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        told: list[Any] = list(reads._counted(CallbackOptions()))
        assert {(*one.attributes.values(), one.value) for one in told} == {
            ("matches:daily", "hit", 3),
            ("profile", "miss", 1),
        }
