"""How often the cache had what was asked for, counted by every reader in one place.

The hash ``cache:reads`` in the cache Valkey holds ``<key>:hit`` and ``<key>:miss``; what is lost
with the cache is lost. Counted in memory and added every few seconds: a read pays an addition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from redis.exceptions import RedisError

from eros_common import telemetry
from eros_common.clocks import Clock
from eros_common.redis import Valkey

KEY: Final = "cache:reads"
FLUSH_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reads:
    """Of one kind of key."""

    hits: int = 0
    misses: int = 0

    @property
    def hit_rate(self) -> float | None:
        """0 to 1; None before the first read."""
        total = self.hits + self.misses
        return self.hits / total if total else None


class CacheReads:
    """What one process has read. ``key`` is how the keys begin, such as ``matches:daily``."""

    def __init__(self, redis: Valkey, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._metric = telemetry.meter().create_counter(
            "eros.cache.reads", unit="{read}", description="Reads of the cache"
        )

    def note(self, key: str, *, hit: bool) -> None:
        """One read."""
        outcome = "hit" if hit else "miss"
        self._counts[f"{key}:{outcome}"] += 1
        self._metric.add(1, {"key": key, "outcome": outcome})

    async def run(self) -> None:
        """Adds what was counted, for ever; a background task. An absent cache loses the counts."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            counts, self._counts = self._counts, Counter()
            if not counts:
                continue
            pipeline = self._redis.pipeline(transaction=False)
            for field, count in counts.items():
                pipeline.hincrby(KEY, field, count)
            try:
                await pipeline.execute()
            except (RedisError, OSError):
                # Whoever uses the cache says that it is away.
                continue


async def read_counts(redis: Valkey) -> dict[str, Reads]:
    """What all processes have read, by key. Raises ``redis.exceptions.RedisError``."""
    stored = await cast("Awaitable[Mapping[bytes, bytes]]", redis.hgetall(KEY))
    found: dict[str, Reads] = {}
    for field, value in sorted(stored.items()):
        key, _, outcome = field.decode().rpartition(":")
        before, count = found.get(key, Reads()), int(value)
        found[key] = (
            Reads(before.hits + count, before.misses)
            if outcome == "hit"
            else Reads(before.hits, before.misses + count)
        )
    return found
