"""Waiting at the end of several streams of Valkey at once.

One server waits at all of them in one command. In a cluster each stream is in a hash slot of its
own and needs a command of its own: those that hear nothing stay where they are from call to call,
so that an entry costs one new command and not one a stream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, cast

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import TimeoutError as RedisTimeoutError

from eros_common.redis import Valkey

Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]
"""(id, fields) of each entry."""
Found: TypeAlias = list[tuple[bytes, Entries]]
"""(stream, its entries)."""

_MOST_ENTRIES: Final = 200
_LATE_SECONDS: Final = 0.25
"""An answer may come so much later than the wait it was asked for takes."""
_UNREAD_SECONDS: Final = 0.05
"""Who stood still himself has the answers, and has not read them yet."""


class Tail(Protocol):
    async def wait(self, after: Mapping[str, str], seconds: float) -> Found:
        """What comes behind these entries, as soon as there is some; nothing only when every server
        said so. Raises ``redis.exceptions.RedisError``."""
        ...

    async def close(self) -> None:
        """Nothing is waited for any more."""
        ...


def tail_of(client: Valkey) -> Tail:
    """``client`` must have more patience than anybody waits."""
    return _TailOfSlots(client) if isinstance(client, RedisCluster) else _TailOfOne(client)


class _TailOfOne:
    def __init__(self, client: Valkey) -> None:
        self._client = client

    async def wait(self, after: Mapping[str, str], seconds: float) -> Found:
        return await _read(self._client, after, seconds)

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Waiting:
    after: str
    late: float
    """Monotonic: by then it must have been answered."""
    task: asyncio.Task[Found]


class _TailOfSlots:
    def __init__(self, client: Valkey) -> None:
        self._client = client
        self._waiting: dict[str, _Waiting] = {}

    async def wait(self, after: Mapping[str, str], seconds: float) -> Found:
        until = time.monotonic() + seconds
        while True:
            await self._begin(after, until)
            late = min(each.late for each in self._waiting.values())
            await asyncio.wait(
                [each.task for each in self._waiting.values()],
                timeout=max(0.0, late - time.monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            found = self._take()
            now = time.monotonic()
            if late_ones := [each.task for each in self._waiting.values() if each.late <= now]:
                _, silent = await asyncio.wait(late_ones, timeout=_UNREAD_SECONDS)
                if silent:
                    await self.close()
                    raise RedisTimeoutError("a node does not answer")
                found += self._take()
            if found or now >= until:
                return found

    async def close(self) -> None:
        tasks = [each.task for each in self._waiting.values()]
        self._waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, after: Mapping[str, str], until: float) -> None:
        if any(
            after.get(stream) != each.after for stream, each in self._waiting.items()
        ):  # begun anew, or others were read otherwise
            await self.close()
        now = time.monotonic()
        seconds = max(0.001, until - now)
        for stream, seen in after.items():
            if stream not in self._waiting:
                task = asyncio.create_task(_read(self._client, {stream: seen}, seconds))
                self._waiting[stream] = _Waiting(seen, now + seconds + _LATE_SECONDS, task)

    def _take(self) -> Found:
        """What was answered. Raises what an answer raises; the others are there the next time."""
        found: Found = []
        for stream, each in list(self._waiting.items()):
            if each.task.done():
                del self._waiting[stream]
                found += each.task.result()
        return found


async def _read(client: Valkey, after: Mapping[str, str], seconds: float) -> Found:
    answer = await client.xread(
        cast("Any", after), count=_MOST_ENTRIES, block=max(1, round(seconds * 1000))
    )
    return cast("Found", answer or [])
