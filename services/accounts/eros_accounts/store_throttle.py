"""Failed logins per address of an account, in Valkey: `signin:failed:*` and `signin:wait:*`.

Keyed by what was typed, whether there is such an account or not: the answer tells nothing. While
Valkey is away nobody is held back here; the gateway's limit per network address stands.
"""

from __future__ import annotations

import hashlib
from typing import Final

from redis.exceptions import RedisError

from eros_accounts.domain.sessions import Throttling
from eros_common import logging
from eros_common.errors import RateLimited
from eros_common.redis import Valkey

# 0: go on; else seconds to wait. Beyond the free failures one attempt at a time is let through.
_ENTER: Final = """
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then return 0 end
if redis.call('SET', KEYS[2], '', 'NX', 'EX', ARGV[2]) then return 0 end
return math.max(1, redis.call('TTL', KEYS[2]))
"""

_FAILED: Final = """
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""

log = logging.get("accounts.throttle")


class ValkeyThrottle:
    """The port ``Throttle``."""

    def __init__(self, redis: Valkey, rules: Throttling) -> None:
        self._redis = redis
        self._rules = rules
        self._enter = redis.register_script(_ENTER)
        self._failed = redis.register_script(_FAILED)

    async def enter(self, email: str) -> None:
        try:
            wait = await self._enter(
                keys=_keys(email), args=[self._rules.failures, self._rules.pause_seconds]
            )
        except (RedisError, OSError) as error:
            log.warning("away", error=str(error))
            return
        if wait:
            raise RateLimited(
                "too many attempts for this e-mail; try again later", retry_after=float(wait)
            )

    async def failed(self, email: str) -> None:
        key = _keys(email)[0]
        try:
            await self._failed(keys=[key], args=[self._rules.window_seconds])
        except (RedisError, OSError) as error:
            log.warning("away", error=str(error))

    async def succeeded(self, email: str) -> None:
        try:
            await self._redis.delete(*_keys(email))
        except (RedisError, OSError) as error:
            log.warning("away", error=str(error))


def _keys(email: str) -> list[str]:
    name = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    return [f"signin:failed:{{{name}}}", f"signin:wait:{{{name}}}"]
