"""The log of transitions as this replica follows it, for all watchers here.

One task reads the store's log, waiting in the store, so an entry comes with the answer to the touch
that made it, whichever replica touched. Watchers read from the memory of what came lately; whoever
is further behind reads from the store until it has caught up.
"""

from __future__ import annotations

import asyncio
from typing import Final

from eros_activity.domain.cursor import Cursor, CursorTooOld, reaches
from eros_activity.lookout import Lookout
from eros_activity.ports import Entry, StoreAway, TransitionLog
from eros_common import logging
from eros_common.clocks import Clock

log = logging.get("activity.hub")

_WAIT_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.1
#: Not having read for so long, entries may be gone from the store, so it is asked for the cursor.
_CHECKED_AFTER_SECONDS: Final = 5.0
_READ_ENTRIES: Final = 500
_KEPT_TRANSITIONS: Final = 50_000
#: What a watcher is given at once holds about so many transitions.
_AT_ONCE: Final = 2000


class Hub:
    """The last entries of the log, in memory."""

    def __init__(self, transitions: TransitionLog, lookout: Lookout, clock: Clock) -> None:
        self.log = transitions
        self._lookout = lookout
        self._clock = clock
        self._ready = asyncio.Event()
        self._read_at = float("-inf")
        self._transitions = 0
        self.entries: list[Entry] = []
        self.passed = 0
        """How many entries were dropped from memory, ever."""
        self.floor = self.position = Cursor(0, ())
        """Before the first entry in memory, and behind the last."""
        self.generation = 0
        """How often the log began anew."""
        self.news = asyncio.Event()
        """Set when there is something new; then there is another event to wait for."""
        self.closed = False
        lookout.on_pause = self.nudge

    async def ready(self) -> None:
        """Waits until the log is followed."""
        await self._ready.wait()

    async def run(self) -> None:
        """Follows the log; a background task."""
        while True:
            try:
                await (self._follow() if self._ready.is_set() else self._begin())
            except StoreAway as error:
                self._lookout.fails("log", error.why)
                await self._clock.sleep(_RETRY_SECONDS)
            except CursorTooOld as error:
                log.warning("began_anew", why=str(error))
                self.restart()
            else:
                self._lookout.works("log")
                self._read_at = self._clock.monotonic()

    def restart(self) -> None:
        """The log began anew, or part of it was missed: every watcher needs a snapshot."""
        self.generation += 1
        self._ready.clear()
        self.nudge()

    async def close(self) -> None:
        """Ends all watching."""
        self.closed = True
        self.nudge()

    def nudge(self) -> None:
        """Wakes every watcher to look again."""
        news, self.news = self.news, asyncio.Event()
        news.set()

    async def _begin(self) -> None:
        pause = await self.log.current_pause()
        if pause is not None:
            self._lookout.learn(pause)
        self.floor = self.position = await self.log.end()
        self.passed += len(self.entries)
        self.entries.clear()
        self._transitions = 0
        self._ready.set()

    async def _follow(self) -> None:
        generation = self.generation
        if self._clock.monotonic() - self._read_at < _CHECKED_AFTER_SECONDS:
            entries = await self.log.wait(self.position, _WAIT_SECONDS)
        else:
            entries = await self.log.read(self.position, _READ_ENTRIES)
        if any(entry.epoch_begins for entry in entries):
            end = await self.log.end()
            if end.epoch != self.position.epoch:
                raise CursorTooOld("activity's data began anew")
        if entries and generation == self.generation:
            self._keep(entries)

    def _keep(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.position = self.position.advanced(entry.stream, entry.id)
            self._transitions += len(entry.transitions)
            if entry.pause is not None:
                self._lookout.learn(entry.pause)
        self.entries += entries
        if self._transitions > 2 * _KEPT_TRANSITIONS:
            self._drop()
        self.nudge()

    def _drop(self) -> None:
        count = 0
        while self._transitions > _KEPT_TRANSITIONS:
            entry = self.entries[count]
            self.floor = self.floor.advanced(entry.stream, entry.id)
            self._transitions -= len(entry.transitions)
            count += 1
        del self.entries[:count]
        self.passed += count


class Follower:
    """One reader of the log at its own pace, from a cursor on."""

    def __init__(self, hub: Hub, cursor: Cursor) -> None:
        self._hub = hub
        self._generation = hub.generation
        self._index = 0
        self.cursor = cursor
        """Behind what was given out."""

    async def next(self, seconds: float) -> list[Entry]:
        """What comes next; empty when there is nothing new within the wall seconds, or when there
        is another pause, or when watching ends.

        Raises ``CursorTooOld`` when the log began anew, ``StoreAway``.
        """
        hub = self._hub
        if not reaches(self.cursor.ids, hub.floor.ids):
            entries = await hub.log.read(self.cursor, _READ_ENTRIES)
            if entries:
                return self._advance(entries)
        news = hub.news
        entries = self.take()
        if not entries and not hub.closed:
            try:
                async with asyncio.timeout(seconds):
                    await news.wait()
            except TimeoutError:
                return []
            entries = self.take()
        return entries

    def take(self) -> list[Entry]:
        """What is in memory behind the cursor, about one message full."""
        if self._generation != self._hub.generation:
            raise CursorTooOld("activity's data began anew")
        start = max(0, self._index - self._hub.passed)
        taken: list[Entry] = []
        transitions = 0
        for entry in self._hub.entries[start:]:
            start += 1
            if entry.id > self.cursor.ids[entry.stream]:
                taken.append(entry)
                transitions += len(entry.transitions)
                if transitions >= _AT_ONCE:
                    break
        self._index = self._hub.passed + start
        return self._advance(taken)

    def _advance(self, entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            self.cursor = self.cursor.advanced(entry.stream, entry.id)
        return entries
