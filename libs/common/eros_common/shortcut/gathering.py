"""Reads of Valkey that share a round trip, because a command of the client costs more than the
server's whole work on it.

One server is asked by a connection of its own (``eros_common.shortcut.piped``). In a cluster keys
are at many servers, which its client knows: there what is asked for while one pipeline is on its
way is the next one, so a lone read waits for nobody, and under load many share one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, Protocol, cast

from redis.asyncio.cluster import RedisCluster

from eros_common.redis import Valkey
from eros_common.shortcut.piped import PipedGets

_AT_ONCE: Final = 64
_UNDER_WAY: Final = 2


class Gets(Protocol):
    """``GET`` for many who ask at once."""

    def get(self, key: str) -> Awaitable[bytes | None]:
        """The value, or None. Raises ``redis.exceptions.RedisError`` and ``OSError``."""
        ...


def gets_of(redis: Valkey) -> Gets:
    """The way that is right for where the keys are."""
    return GatheredGets(redis) if isinstance(redis, RedisCluster) else PipedGets(redis)


class GatheredGets:
    """``Gets`` of a cluster."""

    def __init__(self, redis: RedisCluster) -> None:
        self._redis = redis
        self._waiting: list[tuple[str, asyncio.Future[bytes | None]]] = []
        self._under_way = 0
        # The loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, key: str) -> Awaitable[bytes | None]:
        found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, found))
        if self._under_way < _UNDER_WAY:
            self._under_way += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return found

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._waiting[:_AT_ONCE]
                del self._waiting[:_AT_ONCE]
                await self._answer(batch)
        finally:
            # At once when nobody waits any more: whoever comes next starts another.
            self._under_way -= 1

    async def _answer(self, batch: Sequence[tuple[str, asyncio.Future[bytes | None]]]) -> None:
        try:
            values = await self._values([key for key, _ in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), value in zip(batch, values, strict=True):
            if not future.done():
                future.set_result(value)

    async def _values(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        if len(keys) == 1:
            return [cast("bytes | None", await self._redis.get(keys[0]))]
        pipeline = self._redis.pipeline()
        for key in keys:
            pipeline.get(key)
        return cast("list[bytes | None]", await pipeline.execute())
