"""Lists in Valkey, as answers ready to send. A dead cache slows reads and fails none."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from redis.exceptions import RedisError

from eros_common import logging
from eros_common.cache_reads import CacheReads
from eros_common.ids import UserId
from eros_common.postgres_drops import Owed
from eros_common.redis import Valkey
from eros_common.shortcut.gathering import gets_of
from eros_matcher.ports import ListKind

log = logging.get("matcher.cache")

T = TypeVar("T")

KEPT_SECONDS: Final = 24 * 3600
TIMEOUT_SECONDS: Final = 0.25
"""For the client: a cache that is slower than the database is of no use."""
_REST_SECONDS: Final = 0.5
"""After a failure reads and fills do without it for so long."""


def key_of(kind: ListKind, user: UserId) -> str:
    return f"{kind}:{user}"


class ValkeyLists:
    """See `eros_matcher.ports.ListCache`."""

    def __init__(self, client: Valkey, reads: CacheReads | None = None) -> None:
        """``reads`` counts them; whoever only writes has no use for it."""
        self._client = client
        self._gets = gets_of(client)
        self._reads = reads
        self._resting_until = 0.0

    async def get(self, kind: ListKind, user: UserId) -> bytes | None:
        found = await self._try("get", lambda: self._gets.get(key_of(kind, user)))
        if self._reads is not None:
            self._reads.note(kind.value, hit=found is not None)
        return found

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for kind, user, answer in answers:
            pipeline.set(key_of(kind, user), answer, ex=KEPT_SECONDS)
        await self._try("put", pipeline.execute)

    async def drop(self, users: Iterable[UserId]) -> bool:
        keys = [key_of(kind, user) for user in users for kind in ListKind]
        # Tried whatever happened before: it matters more than the wait.
        self._resting_until = 0.0
        return await self._try("drop", lambda: self._client.delete(*keys)) is not None

    async def drop_owed(self, rows: Owed) -> bool:
        """By the rows that owe it; False where the cache does not answer."""
        return await self.drop(row["user_id"] for row in rows)

    async def _try(self, name: str, command: Callable[[], Awaitable[T]]) -> T | None:
        if time.monotonic() < self._resting_until:
            return None
        try:
            return await command()
        except (RedisError, OSError) as error:
            log.warning("unavailable", command=name, error=repr(error))
            self._resting_until = time.monotonic() + _REST_SECONDS
            return None
