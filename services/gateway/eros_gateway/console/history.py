"""How many people were in which phase, a sample a minute for a day, in the cache's Valkey: whoever
opens the console sees the last day, whichever replica answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from redis.exceptions import RedisError, ResponseError

from eros_common import logging
from eros_common.redis import Valkey

KEY: Final = "console:people"
SAMPLES: Final = 24 * 60
_MINUTE: Final = 60

log = logging.get("gateway.console")

Sample = tuple[float, tuple[int, ...]]
"""Wall seconds since 1970, and people by idle phase."""


class PeopleHistory:
    """A stream in Valkey; without Valkey there is no history, and nothing else is missing."""

    def __init__(self, redis: Valkey) -> None:
        self._redis = redis
        self._noted = 0

    async def note(self, at: float, people: Sequence[int]) -> None:
        """Keeps the first sample of each minute, whichever replica takes it."""
        minute = int(at) // _MINUTE
        if minute <= self._noted:
            return
        self._noted = minute
        fields = cast("Any", {"people": " ".join(map(str, people))})
        # The minute is the entry's id: a second one is refused.
        entry = f"{minute * _MINUTE * 1000}-1"
        try:
            await self._redis.xadd(KEY, fields, id=entry, maxlen=SAMPLES)
        except ResponseError:
            return
        except (RedisError, OSError) as error:
            log.warning("history_not_kept", error=repr(error))

    async def last_day(self) -> list[Sample]:
        """Oldest first."""
        try:
            found = await self._redis.xrange(KEY, count=SAMPLES)
        except (RedisError, OSError) as error:
            log.warning("no_history", error=repr(error))
            return []
        # The client speaks bytes; its types say that it might not.
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        return [
            (int(entry.partition(b"-")[0]) / 1000, tuple(map(int, fields[b"people"].split())))
            for entry, fields in entries
        ]
