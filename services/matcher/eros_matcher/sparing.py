"""Previews that somebody may ask for as often as they like.

Where one finds people it is stored, and nobody makes it again. One that finds nobody leaves no
trace in the database: it is remembered here for as long as a second look could find nothing else.
Made again for each request, it would keep a matcher busy for one person's preferences.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from hashlib import blake2b
from typing import Final

from eros.accounts.v1 import profile_pb2
from eros_common.clocks import Clock
from eros_matcher.ports import CurrentLists

_REMEMBERED: Final = 10_000
"""People at most: a megabyte or two."""


class Sparing:
    """`make` at most once at a time for a profile and day, and for who found nobody again only
    after `rest_seconds` (wall). Whoever changes their profile need not wait."""

    def __init__(
        self,
        make: Callable[[profile_pb2.MatchingProfile, date], Awaitable[CurrentLists]],
        clock: Clock,
        rest_seconds: float,
    ) -> None:
        self._make = make
        self._clock = clock
        self._rest = rest_seconds
        self._running: dict[bytes, asyncio.Task[CurrentLists]] = {}
        # Until when (monotonic); the first to be forgotten are the first.
        self._nobody: dict[bytes, float] = {}

    async def make(self, profile: profile_pb2.MatchingProfile, day: date) -> CurrentLists:
        """What `make` gives. It is finished even if all who wait for it hang up."""
        wish = _digest(profile, day)
        self._forget()
        if wish in self._nobody:
            return CurrentLists()
        task = self._running.get(wish)
        if task is None:
            task = asyncio.create_task(self._made(wish, profile, day))
            self._running[wish] = task
            task.add_done_callback(lambda done: self._ended(wish, done))
        return await asyncio.shield(task)

    async def _made(
        self, wish: bytes, profile: profile_pb2.MatchingProfile, day: date
    ) -> CurrentLists:
        lists = await self._make(profile, day)
        if lists == CurrentLists():
            self._nobody[wish] = self._clock.monotonic() + self._rest
        return lists

    def _ended(self, wish: bytes, task: asyncio.Task[CurrentLists]) -> None:
        del self._running[wish]
        if not task.cancelled():
            # Whoever asked has it raised; where they all hung up, nobody else will look at it.
            task.exception()

    def _forget(self) -> None:
        now = self._clock.monotonic()
        while self._nobody:
            wish, until = next(iter(self._nobody.items()))
            if now < until and len(self._nobody) <= _REMEMBERED:
                return
            del self._nobody[wish]


def _digest(profile: profile_pb2.MatchingProfile, day: date) -> bytes:
    said = profile.SerializeToString(deterministic=True)
    return blake2b(day.isoformat().encode() + said, digest_size=16).digest()
