"""Sessions that are refused before their tokens expire, mirrored from the activity Valkey.

The sorted set ``{revoked}:sids`` holds session ids by the wall second (since 1970) until which
tokens of theirs may still be around; the channel ``revoked`` carries each id when it is added and
``{revoked}:version`` counts the additions. The channel makes it quick; a poll of the version twice
a second makes it true, and reads the set only when there is something new. What is there already
may be added again and again: nobody hears of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final, cast

from redis.exceptions import RedisError

from eros_common import logging
from eros_common.clocks import Clock, SystemClock
from eros_common.ids import SessionId
from eros_common.redis import Valkey, subscribed
from eros_common.tasks import obey_cancel

#: The braces are a hash tag: one node of a cluster has both.
KEY: Final = "{revoked}:sids"
VERSION_KEY: Final = "{revoked}:version"
CHANNEL: Final = "revoked"
POLL_SECONDS: Final = 0.5
# A version begins with the second, so that none comes back after Valkey lost its data.
# A cluster passes on to all its nodes what is published at one.
_REVOKE: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
if redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[2], ARGV[3]) == 1 then
    redis.call('SET', KEYS[2], math.floor(ARGV[1]), 'NX')
    redis.call('INCR', KEYS[2])
    redis.call('PUBLISH', ARGV[4], ARGV[3])
end
"""

log = logging.get("auth.revocations")


class Revocations:
    """Adds to the set; accounts' side."""

    def __init__(self, redis: Valkey, *, clock: Clock | None = None) -> None:
        self._revoke = redis.register_script(_REVOKE)
        self._clock = clock or SystemClock()

    async def revoke(self, session_id: SessionId, until: datetime) -> None:
        """Refuses the session's tokens until a wall instant (their longest possible expiry).

        Raises ``redis.exceptions.RedisError`` if that cannot be written.
        """
        now = self._clock.wall().timestamp()
        await self._revoke(
            keys=[KEY, VERSION_KEY], args=[now, until.timestamp(), session_id, CHANNEL]
        )


class RevocationMirror:
    """What is revoked, in memory. What was seen once holds until it expires, whether Valkey is away
    or comes back without its data."""

    def __init__(
        self, redis: Valkey, *, clock: Clock | None = None, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._redis = redis
        self._clock = clock or SystemClock()
        self._poll = poll_seconds
        self._revoked: dict[str, float] = {}  # by the wall second until which it counts
        self._loaded = asyncio.Event()
        self._nudge = asyncio.Event()
        self._away = False
        self._version: object = None
        self._changes = 0

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._revoked

    @property
    def changes(self) -> int:
        """How often the ids became others: one number, one set of them."""
        return self._changes

    def session_ids(self) -> list[str]:
        """All that are refused."""
        return list(self._revoked)

    async def ready(self) -> None:
        """Waits until the set was read once: before that nothing may be served."""
        await self._loaded.wait()

    async def run(self) -> None:
        """Mirrors for ever; a background task."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            self._nudge.clear()
            try:
                await self._read()
            except (RedisError, OSError) as error:
                self._lost(error)
            else:
                self._loaded.set()
                if self._away:
                    log.info("valkey_back")
                self._away = False
            obey_cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll):
                    await self._nudge.wait()

    async def _read(self) -> None:
        # The version first: an addition in between is then read again, never missed.
        version = await self._redis.get(VERSION_KEY)
        if version != self._version or not self._loaded.is_set():
            found = await self._redis.zrange(KEY, 0, -1, withscores=True)
            now = self._clock.wall().timestamp()
            known = {sid: until for sid, until in self._revoked.items() if until > now}
            for member, until in cast("list[tuple[bytes | str, float]]", found):
                known[_text(member)] = until
            if known.keys() != self._revoked.keys():
                self._changes += 1
            self._revoked = known
            self._version = version

    async def _listen(self) -> None:
        while True:
            try:
                async with subscribed(self._redis, CHANNEL) as channel:
                    obey_cancel()
                    async for _ in channel.listen():
                        self._nudge.set()
            except (RedisError, OSError) as error:
                self._lost(error)
                await asyncio.sleep(self._poll)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log.warning("valkey_away", error=str(error), kept=len(self._revoked))
        self._away = True


def _text(member: bytes | str) -> str:
    return member.decode() if isinstance(member, bytes) else member
