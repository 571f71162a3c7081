"""How often the cache had what was asked for, counted by every reader in one place.

The hash ``cache:reads`` in the cache Valkey holds ``<key>:hit`` and ``<key>:miss``; what is lost
with the cache is lost. Counted in memory and added every few seconds, and told to telemetry when
it asks: a read pays an addition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from opentelemetry.metrics import CallbackOptions, Observation
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
        self._counts: Counter[tuple[str, str]] = Counter()
        telemetry.meter().create_observable_counter(
            "eros.cache.reads",
            callbacks=[self._counted],
            unit="{read}",
            description="Reads of the cache",
        )

    def note(self, key: str, *, hit: bool) -> None:
        """One read."""
        self._counts[key, "hit" if hit else "miss"] += 1

    async def run(self) -> None:
        """Adds what was counted, for ever; a background task. An absent cache loses the counts."""
        added: Counter[tuple[str, str]] = Counter()
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            counts = self._counts.copy()
            new, added = counts - added, counts
            if not new:
                continue
            pipeline = self._redis.pipeline(transaction=False)
            for (key, outcome), count in new.items():
                pipeline.hincrby(KEY, f"{key}:{outcome}", count)
            try:
                await pipeline.execute()
            except (RedisError, OSError):
                # Whoever uses the cache says that it is away.
                continue

    def _counted(self, _: CallbackOptions) -> Iterable[Observation]:
        # By another thread, while reads go on.
        for (key, outcome), count in self._counts.copy().items():
            yield Observation(count, {"key": key, "outcome": outcome})


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
