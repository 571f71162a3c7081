"""The store in memory, for the simulator; held to the same tests as Valkey's."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from eros_activity.domain.cursor import BEGINNING, Cursor, CursorTooOld, StreamId
from eros_activity.domain.gaps import Source
from eros_activity.domain.ledger import Ledger
from eros_activity.domain.people import (
    Counts,
    Interaction,
    Rules,
    Seen,
    Transition,
    TransitionKind,
    UserKey,
)
from eros_activity.domain.sight import Pause
from eros_activity.ports import Abandoned, Continuity, Entry, SleeperPage, Swept
from eros_common.clocks import Clock

_PLACE: Final = struct.Struct("<16sd")


class MemoryLog:
    """``TransitionLog``: one stream for everything; keeps the last ``kept`` entries."""

    def __init__(self, *, kept: int = 10_000) -> None:
        self._kept = kept
        self.epoch = 1
        self._entries: list[Entry] = []
        self._next = 1
        self._pause: Pause | None = None
        self._grown = asyncio.Event()

    @property
    def streams(self) -> int:
        return 1

    def begin_epoch(self) -> None:
        """No cursor from before is good any more."""
        self.epoch += 1
        self._append(Entry(0, StreamId(0, self._next), epoch_begins=True))

    def append(self, transitions: Sequence[Transition]) -> None:
        if transitions:
            self._append(Entry(0, StreamId(0, self._next), tuple(transitions)))

    async def end(self) -> Cursor:
        return Cursor(self.epoch, (self._entries[-1].id if self._entries else BEGINNING,))

    async def read(self, after: Cursor, limit: int) -> list[Entry]:
        if after.epoch != self.epoch:
            raise CursorTooOld("the cursor is of another log")
        (seen,) = after.ids
        first = self._next - len(self._entries)
        if seen.number < first - 1:
            raise CursorTooOld("what came after the cursor is no longer kept")
        start = seen.number - first + 1
        return self._entries[start : start + limit]

    async def wait(self, after: Cursor, seconds: float) -> list[Entry]:
        if not (found := await self.read(after, self._kept)):
            self._grown.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._grown.wait()
            except TimeoutError:
                return []
            found = await self.read(after, self._kept)
        return found

    async def pause(self, pause: Pause) -> bool:
        if self._pause is not None and self._pause.until >= pause.until:
            return False
        self._pause = pause
        self._append(Entry(0, StreamId(0, self._next), pause=pause))
        return True

    async def current_pause(self) -> Pause | None:
        return self._pause

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._next += 1
        del self._entries[: -self._kept]
        self._grown.set()


class MemoryPeople:
    """``PeopleStore``."""

    def __init__(self, rules: Rules, log: MemoryLog, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._log = log
        self._ledger: Ledger | None = None
        self._swept: float | None = None

    async def touch(self, batch: Sequence[Interaction], now: float) -> set[UserKey]:
        transitions = self._at(now).touch(batch)
        self._log.append(transitions)
        return {t.user for t in transitions if t.kind is TransitionKind.WOKE}

    async def sweep(self, now: float, *, starting: bool = False) -> Swept:
        continuity = Continuity.NEW if self._ledger is None else Continuity.SAME
        ledger = self._at(now)
        if starting and ledger.rewind(now):
            continuity = Continuity.REWOUND
            self._log.begin_epoch()
        asleep = ledger.sweep(now)
        self._log.append(asleep)
        before, self._swept = self._swept, self._clock.monotonic()
        unwatched = None if before is None else self._swept - before
        return Swept(len(asleep), continuity, self._log.epoch, ledger.watched_since, unwatched)

    async def forget(self, now: float) -> int:
        gone = self._at(now).forget(now)
        self._log.append(gone)
        return len(gone)

    async def erase(self, users: Sequence[UserKey], now: float) -> int:
        known = self._at(now).erase(users)
        self._log.append([Transition(user, TransitionKind.FORGOTTEN, now) for user in users])
        return known

    async def counts(self, now: float) -> Counts:
        return self._at(now).counts(now)

    async def find(self, user: UserKey) -> Seen | None:
        return None if self._ledger is None else self._ledger.find(user)

    async def sleepers(self, after: bytes | None, limit: int) -> SleeperPage:
        place = None
        if after is not None:
            user, at = _PLACE.unpack(after)
            place = (at, UserKey(user))
        places = [] if self._ledger is None else self._ledger.sleepers(place, limit)
        found = [Transition(user, TransitionKind.ASLEEP, at) for at, user in places]
        full = len(found) == limit
        return SleeperPage(found, _PLACE.pack(found[-1].user, found[-1].at) if full else None)

    async def recent(self, limit: int) -> list[UserKey]:
        return [] if self._ledger is None else self._ledger.recent(limit)

    def _at(self, now: float) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self._rules, now)
        return self._ledger


class MemorySources:
    """``SourceRegister``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: dict[Source, tuple[int, float]] = {}

    async def save(self, settled: Mapping[Source, int]) -> None:
        now = self._clock.monotonic()
        for source, number in settled.items():
            known, _ = self._read.get(source, (0, now))
            self._read[source] = (max(known, number), now)

    async def find(self, sources: Sequence[Source]) -> dict[Source, int]:
        return {source: self._read[source][0] for source in sources if source in self._read}

    async def abandoned(self, seconds: float) -> list[Abandoned]:
        now = self._clock.monotonic()
        return [
            Abandoned(source, number, now - read)
            for source, (number, read) in self._read.items()
            if now - read >= seconds
        ]

    async def forget(self, sources: Sequence[Source], seconds: float) -> None:
        for one in await self.abandoned(seconds):
            if one.source in sources:
                del self._read[one.source]
