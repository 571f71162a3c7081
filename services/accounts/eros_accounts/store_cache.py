"""Cached profiles in Valkey: ``profile:{userId}`` and ``profile:public:{userId}``.

Two races are closed here. A slow reader must not put back what a save has just dropped: a drop
leaves a version beside each key, and a fill with an older version is refused for as long as such a
reader can be on its way. And a drop that Valkey did not hear of is owed: this process makes up for
it before it uses the cache again; and because this process may end first, or another may reach
Valkey meanwhile, it is noted in the database, where every process looks.

While Valkey is away nobody waits for it: the first command that fails closes the cache for this
process, and only ``run`` opens it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.exceptions import RedisError

from eros_accounts.ports import CacheDrops, CachedView
from eros_common import logging
from eros_common.cache_reads import CacheReads
from eros_common.clocks import Clock
from eros_common.ids import UserId
from eros_common.postgres_drops import Owed
from eros_common.redis import Valkey
from eros_common.shortcut.gathering import gets_of

LIFETIME_SECONDS: Final = {CachedView.OWN: 12 * 3600, CachedView.PUBLIC: 5 * 60}
VERSION_SECONDS: Final = 60
"""Longer than any reader takes from its SELECT to its fill."""
RETRY_SECONDS: Final = 0.5
_AT_ONCE: Final = 20

# Versions are small integers: exact as Lua's doubles.
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

log = logging.get("accounts.cache")


class ValkeyProfileCache:
    """The port ``ProfileCache``. ``redis`` should have short timeouts and no retries."""

    def __init__(self, redis: Valkey, clock: Clock, reads: CacheReads, drops: CacheDrops) -> None:
        self._redis = redis
        self._gets = gets_of(redis)
        self._clock = clock
        self._fill = redis.register_script(_FILL)
        self._forget = redis.register_script(_FORGET)
        # One entry a person who saved while Valkey was away.
        self._owed: dict[UserId, int] = {}
        self._away = asyncio.Event()
        self._reads = reads
        self._drops = drops

    def is_away(self) -> bool:
        """Whether the cache is not used just now."""
        return self._away.is_set()

    async def get(self, view: CachedView, user_id: UserId) -> bytes | None:
        if self.is_away():
            return None
        try:
            data = await self._gets.get(_key(view, user_id))
        except (RedisError, OSError) as error:
            self._lost(error)
            return None
        self._reads.note(view.value, hit=data is not None)
        return data

    async def fill(self, view: CachedView, user_id: UserId, version: int, data: bytes) -> None:
        if self.is_away():
            return
        try:
            await self._fill(
                keys=_keys(view, user_id),
                args=[version, LIFETIME_SECONDS[view], data],
            )
        except (RedisError, OSError) as error:
            self._lost(error)

    async def forget(self, user_id: UserId, version: int) -> None:
        # Owed until it is done, also if this is cancelled on the way.
        self._owed[user_id] = max(version, self._owed.get(user_id, 0))
        if not self.is_away():
            try:
                await self._drop(user_id, version)
            except (RedisError, OSError) as error:
                self._lost(error)
            else:
                return
        await self._drops.owe(user_id, version)

    async def drop_owed(self, rows: Owed) -> bool:
        """What any process owes, by the rows that owe it. False where the cache does not answer."""
        if self.is_away():
            return False
        try:
            await self._drop_all([(row["user_id"], row["version"]) for row in rows])
        except (RedisError, OSError) as error:
            self._lost(error)
            return False
        return True

    async def run(self) -> None:
        """Brings the cache back for ever, whenever it was lost; a background task."""
        while True:
            await self._away.wait()
            await self._clock.sleep(RETRY_SECONDS)
            try:
                await self._redis.ping()
                await self.settle()
            except (RedisError, OSError):
                continue
            # Whoever was lost while the last one was made up for is seen here.
            if not self._owed:
                self._away.clear()
                log.info("back")

    async def settle(self) -> None:
        """Makes up for every drop that is owed; raises ``RedisError`` if Valkey is away."""
        while self._owed:
            await self._drop_all(list(self._owed.items()))

    async def _drop_all(self, owed: Sequence[tuple[UserId, int]]) -> None:
        for start in range(0, len(owed), _AT_ONCE):
            await asyncio.gather(*(self._drop(*one) for one in owed[start : start + _AT_ONCE]))

    async def _drop(self, user_id: UserId, version: int) -> None:
        # In a cluster the two are on two nodes.
        await asyncio.gather(
            *(
                self._forget(keys=_keys(view, user_id), args=[version, VERSION_SECONDS])
                for view in CachedView
            )
        )
        if self._owed.get(user_id) == version:
            del self._owed[user_id]

    def _lost(self, error: Exception) -> None:
        if not self.is_away():
            log.warning("away", error=str(error) or type(error).__name__)
        self._away.set()


def _key(view: CachedView, user_id: UserId) -> str:
    return f"{view.value}:{user_id}"


def _keys(view: CachedView, user_id: UserId) -> list[str]:
    """Where the answer is, and the version it must have at least: by the hash tag on one node."""
    key = _key(view, user_id)
    return [key, f"{{{key}}}:version"]
