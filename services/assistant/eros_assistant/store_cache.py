"""What the assistant keeps in Valkey: `conversation:{userId}:{conversationId}` for 7 days, and
`assistant:prepared:{userId}`, which the worker writes. A dead cache slows reads and fails none.

A slow reader must not put back what a newer message has dropped: a drop leaves its revision for as
long as such a reader can be on its way, and an older fill is refused.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from eros_advice.prepared import prepared_key
from eros_assistant.domain.conversations import ConversationId
from eros_common import logging
from eros_common.cache_reads import CacheReads
from eros_common.ids import UserId
from eros_common.postgres_drops import Owed
from eros_common.redis import Valkey

log = logging.get("assistant.cache")

T = TypeVar("T")

KEPT_SECONDS: Final = 7 * 24 * 3600
TIMEOUT_SECONDS: Final = 0.25
"""For the client: a cache that is slower than the database is of no use."""
REVISION_SECONDS: Final = 60
"""Longer than any reader takes from its SELECT to its fill."""
LARGEST_BYTES: Final = 12_000
"""A longer page is read from the database: all that is cached of a person is below 50 KB."""
_REST_SECONDS: Final = 0.5
"""After a failure reads and fills do without it for so long."""

_FILL: Final = """
local heard = redis.call('GET', KEYS[2])
if heard and tonumber(heard) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[2])
return 1
"""
_FORGET: Final = """
local heard = redis.call('GET', KEYS[2])
if not heard or tonumber(heard) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
end
return redis.call('DEL', KEYS[1])
"""


class ValkeyConversations:
    """See `eros_assistant.ports.ConversationCache` and `PreparedAnswers`."""

    def __init__(self, client: Valkey, reads: CacheReads) -> None:
        self._client = client
        self._reads = reads
        self._fill = client.register_script(_FILL)
        self._forget = client.register_script(_FORGET)
        self._resting_until = 0.0

    async def get(self, user: UserId, conversation: ConversationId) -> bytes | None:
        return await self._read("conversation", _key(user, conversation))

    async def prepared(self, user: UserId) -> bytes | None:
        return await self._read("assistant:prepared", prepared_key(user))

    async def fill(
        self, user: UserId, conversation: ConversationId, revision: int, data: bytes
    ) -> None:
        if len(data) <= LARGEST_BYTES:
            await self._try(
                "fill",
                lambda: self._fill(
                    keys=_keys(user, conversation),
                    args=[revision, KEPT_SECONDS, data],
                ),
            )

    async def forget(self, user: UserId, conversation: ConversationId, revision: int) -> bool:
        # Tried whatever happened before: it matters more than the wait.
        self._resting_until = 0.0
        done = await self._try(
            "forget",
            lambda: self._forget(
                keys=_keys(user, conversation),
                args=[revision, REVISION_SECONDS],
            ),
        )
        return done is not None

    async def drop_owed(self, rows: Owed) -> bool:
        """What the cache could not forget, or whose person was deleted, by the rows that owe it.
        The nil id means what was prepared. False where the cache does not answer."""
        keys = [
            _key(row["user_id"], row["conversation_id"])
            if row["conversation_id"].int
            else prepared_key(row["user_id"])
            for row in rows
        ]
        self._resting_until = 0.0
        return await self._try("drop_owed", lambda: self._client.delete(*keys)) is not None

    async def _read(self, name: str, key: str) -> bytes | None:
        found = await self._try("get", lambda: self._client.get(key))
        self._reads.note(name, hit=found is not None)
        # The client speaks bytes; its types say that it might not.
        return found if isinstance(found, bytes) else None

    async def _try(self, name: str, command: Callable[[], Awaitable[T]]) -> T | None:
        if time.monotonic() < self._resting_until:
            return None
        try:
            return await command()
        except (RedisError, OSError) as error:
            log.warning("unavailable", command=name, error=type(error).__name__)
            self._resting_until = time.monotonic() + _REST_SECONDS
            return None


def _key(user: UserId, conversation: ConversationId) -> str:
    return f"conversation:{user}:{conversation}"


def _keys(user: UserId, conversation: ConversationId) -> list[str]:
    """Where the page is, and the revision it must have at least: by the hash tag on one node of a
    cluster."""
    key = _key(user, conversation)
    return [key, f"{{{key}}}:revision"]
