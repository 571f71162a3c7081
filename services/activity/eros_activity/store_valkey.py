"""People in Valkey; each method is one or few function calls (functions/*.lua)."""

from __future__ import annotations

import heapq
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from redis.exceptions import ResponseError

from eros_activity.domain.cursor import epoch_of
from eros_activity.domain.people import (
    Counts,
    Interaction,
    Rules,
    Seen,
    Transition,
    TransitionKind,
    UserKey,
)
from eros_activity.ports import Continuity, SleeperPage, Swept
from eros_activity.shards import Shard, by_shard, shard_number, shards
from eros_activity.valkey_functions import Call, Functions

_TOUCH: Final = struct.Struct("<16sdd")
_PLACE: Final = struct.Struct("<16sd")
_PAGE_TOKEN: Final = struct.Struct("<H16sd")
TRACE: Final = struct.Struct("<16s55s")
"""Whose, and a ``traceparent``, which is 55 characters."""
_FAR: Final = 1e300
_START: Final = (bytes(16), float("-inf"))
_SESSION: Final = struct.Struct("<d")
#: So many people are touched, swept or forgotten in one function call: whoever else wants something
#: of Valkey meanwhile waits about a millisecond. For that reason a sweep asks page by page.
_PAGE: Final = 250
CLOCK_OFF_SECONDS: Final = 30.0
"""Wall clocks that are kept are not so far apart: such a replica's sweep is refused."""


class ValkeyPeople:
    """``PeopleStore`` on Valkey.

    ``clock_tolerance``: by how many night seconds replicas may disagree on now. ``kept_seconds``:
    how long events are kept, wall.
    """

    def __init__(
        self,
        functions: Functions,
        rules: Rules,
        *,
        shard_count: int,
        kept_seconds: float,
        clock_tolerance: float = 0.0,
        page: int = _PAGE,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._functions = functions
        self._rules = rules
        self._shards = shards(shard_count)
        self._kept_ms = round(kept_seconds * 1000)
        self._clock_tolerance = clock_tolerance
        self._page = page
        self._wall = wall

    async def touch(self, batch: Sequence[Interaction], now: float) -> set[UserKey]:
        calls = [
            Call("touch", self._shards[number].keys, (self._rules.session_end, *_packed(page)))
            for number, touches in by_shard(batch, len(self._shards)).items()
            for page in _pages(touches, self._page)
        ]
        try:
            answers = await self._functions.call(calls)
        except ResponseError as error:
            if not str(error).startswith("NOSTATE"):
                raise
            # Valkey came back empty between two sweeps. A touch repeated changes nothing.
            await self.sweep(now)
            answers = await self._functions.call(calls)
        return {UserKey(ids[at : at + 16]) for ids in answers for at in range(0, len(ids), 16)}

    async def sweep(self, now: float, *, starting: bool = False) -> Swept:
        latest = now + self._clock_tolerance if starting else _FAR
        asleep, continuity = 0, Continuity.SAME
        epochs: list[bytes] = []
        watched_since, unwatched = float("-inf"), -1.0
        for shard in self._shards:
            more = True
            while more:
                [answer] = await self._functions.call([self._sweep(shard, now, latest)])
                happened, epoch, since, before, count, more = answer
                continuity = max(continuity, Continuity(happened))
                # A later page is answered with this very sweep, a moment ago.
                unwatched = max(unwatched, float(before))
                asleep += count
            epochs.append(epoch)
            watched_since = max(watched_since, float(since))
        before_this = None if unwatched < 0 else unwatched
        return Swept(asleep, continuity, epoch_of(epochs), watched_since, before_this)

    async def forget(self, now: float) -> int:
        arguments = (repr(now - self._rules.forget_after), self._page)
        forgotten = 0
        for shard in self._shards:
            count = self._page
            while count == self._page:
                [count] = await self._functions.call([Call("forget", shard.keys, arguments)])
                forgotten += count
        return forgotten

    async def erase(self, users: Sequence[UserKey], now: float) -> int:
        by_number: dict[int, list[UserKey]] = {}
        for user in users:
            by_number.setdefault(shard_number(user, len(self._shards)), []).append(user)
        calls = [
            Call("erase", self._shards[number].keys, (b"".join(there), repr(now)))
            for number, there in by_number.items()
        ]
        return sum(await self._functions.call(calls))

    async def counts(self, now: float) -> Counts:
        idle = self._rules.idle
        spans = (idle.phase1, idle.phase2, idle.phase3, self._rules.session_end)
        instants = [repr(now - span) for span in spans]
        answers = await self._functions.call(
            [Call("counts", s.keys, instants) for s in self._shards]
        )
        return sum((_counts(answer) for answer in answers), Counts())

    async def find(self, user: UserKey) -> Seen | None:
        shard = self._shards[shard_number(user, len(self._shards))]
        [(last_seen, session)] = await self._functions.call([Call("find", shard.keys, (user,))])
        if last_seen is None:
            return None
        return Seen(float(last_seen), None if session is None else _SESSION.unpack(session)[0])

    async def sleepers(self, after: bytes | None, limit: int) -> SleeperPage:
        number, user, at = (0, *_START) if after is None else _PAGE_TOKEN.unpack(after)
        arguments = (limit, repr(at), user)
        [packed] = await self._functions.call(
            [Call("sleepers", self._shards[number].keys, arguments)]
        )
        found = [
            Transition(UserKey(user), TransitionKind.ASLEEP, at)
            for user, at in _PLACE.iter_unpack(packed)
        ]
        if len(found) == limit:
            return SleeperPage(found, _PAGE_TOKEN.pack(number, found[-1].user, found[-1].at))
        if number + 1 < len(self._shards):
            return SleeperPage(found, _PAGE_TOKEN.pack(number + 1, *_START))
        return SleeperPage(found, None)

    async def recent(self, limit: int) -> list[UserKey]:
        answers = await self._functions.call(
            [Call("recent", shard.keys, (limit,)) for shard in self._shards]
        )
        newest = heapq.merge(
            *(_PLACE.iter_unpack(packed) for packed in answers), key=lambda p: p[1], reverse=True
        )
        return [UserKey(user) for user, _ in islice(newest, limit)]

    def _sweep(self, shard: Shard, now: float, latest: float) -> Call:
        return Call(
            "sweep",
            shard.keys,
            (
                repr(now),
                repr(latest),
                repr(now - self._rules.idle.phase1),
                repr(now - self._rules.session_end),
                self._page,
                secrets.token_hex(8),
                shard.layout,
                self._kept_ms,
                repr(self._wall()),
                CLOCK_OFF_SECONDS,
            ),
        )


def _pages(touches: Sequence[Interaction], size: int) -> list[Sequence[Interaction]]:
    return [touches[start : start + size] for start in range(0, len(touches), size)]


def _packed(touches: Sequence[Interaction]) -> tuple[bytes, bytes]:
    """The touches, and the traces of those few that have one."""
    packed = b"".join(_TOUCH.pack(t.user, t.at, t.wall) for t in touches)
    return packed, b"".join(TRACE.pack(t.user, t.trace.encode()) for t in touches if t.trace)


def _counts(answer: Sequence[int]) -> Counts:
    known, phase1, phase2, phase3, before_session = answer
    return Counts(
        awake=known - phase1,
        phase1=phase1 - phase2,
        phase2=phase2 - phase3,
        phase3=phase3,
        open_sessions=known - before_session,
    )
