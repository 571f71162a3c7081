"""The event log in Valkey: one stream per shard, and one for pauses."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from eros_activity.domain.cursor import (
    BEGINNING,
    Cursor,
    CursorTooOld,
    StreamId,
    epoch_of,
)
from eros_activity.domain.people import Transition, TransitionKind, UserKey
from eros_activity.domain.sight import Pause
from eros_activity.ports import Entry
from eros_activity.shards import PAUSES, shards
from eros_activity.store_valkey import TRACE
from eros_activity.store_valkey_tail import Entries, Tail, tail_of
from eros_activity.valkey_functions import Call, Functions, away_as_store_away
from eros_common.redis import Valkey

_WOKE: Final = struct.Struct("<16sdd")
_OTHER: Final = struct.Struct("<16sd")


class ValkeyLog:
    """``TransitionLog`` on Valkey. The stream of pauses is the last one.

    ``waiting`` is a client of its own, because it waits longer than any other command may take.
    Whoever has waited calls ``close`` in the end. ``longest_pause``: no pause lasts for more
    seconds from now, by the store's clock.
    """

    def __init__(
        self,
        functions: Functions,
        waiting: Valkey,
        *,
        shard_count: int,
        longest_pause: float = 1e300,
    ) -> None:
        self._functions = functions
        self._redis = functions.redis
        self._tail: Tail = tail_of(waiting)
        self._longest_pause = longest_pause
        self._shards = shards(shard_count)
        self._keys = [*(shard.events for shard in self._shards), PAUSES]
        self._numbers = {key.encode(): number for number, key in enumerate(self._keys)}

    @property
    def streams(self) -> int:
        return len(self._keys)

    @away_as_store_away
    async def end(self) -> Cursor:
        async with self._redis.pipeline(transaction=False) as pipe:
            # Epochs last: an epoch that began in between is then not missed by whoever compares.
            for key in self._keys:
                pipe.xrevrange(key, count=1)
            for shard in self._shards:
                pipe.hget(shard.state, "epoch")
            answers = await pipe.execute()
        lasts, epochs = answers[: self.streams], answers[self.streams :]
        ids = tuple(StreamId.parse(last[0][0]) if last else BEGINNING for last in lasts)
        return Cursor(epoch_of([epoch or b"" for epoch in epochs]), ids)

    @away_as_store_away
    async def read(self, after: Cursor, limit: int) -> list[Entry]:
        each = -(-limit // self.streams)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key, seen in zip(self._keys, after.ids, strict=True):
                pipe.xrange(key, min=f"({seen}", count=each)
            # What is still kept now was kept when the entries were read.
            for shard in self._shards:
                pipe.xrange(shard.events, count=1)
            for shard in self._shards:
                pipe.hget(shard.state, "epoch")
            answers = await pipe.execute()
        count = len(self._shards)
        found = answers[: self.streams]
        firsts, epochs = answers[self.streams : -count], answers[-count:]
        if epoch_of([epoch or b"" for epoch in epochs]) != after.epoch:
            raise CursorTooOld("activity's data began anew since")
        for seen, first in zip(after.ids, firsts, strict=False):
            if first and seen < StreamId.parse(first[0][0]):
                raise CursorTooOld("what came after the cursor is no longer kept")
        return [
            _entry(number, key, fields)
            for number, entries in enumerate(found)
            for key, fields in entries
        ]

    @away_as_store_away
    async def wait(self, after: Cursor, seconds: float) -> list[Entry]:
        streams = {key: str(seen) for key, seen in zip(self._keys, after.ids, strict=True)}
        return [
            _entry(self._numbers[key], entry, fields)
            for key, entries in await self._tail.wait(streams, seconds)
            for entry, fields in entries
        ]

    async def close(self) -> None:
        """Ends what waits in the store."""
        await self._tail.close()

    async def pause(self, pause: Pause) -> bool:
        call = Call("pause", (PAUSES,), (repr(pause.until), pause.reason, self._longest_pause))
        [appended] = await self._functions.call([call])
        return bool(appended)

    @away_as_store_away
    async def current_pause(self) -> Pause | None:
        last = cast("Entries", await self._redis.xrevrange(PAUSES, count=1))
        return _pause(last[0][1]) if last else None


def _entry(stream: int, key: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    number = StreamId.parse(key)
    if b"until" in fields:
        return Entry(stream, number, pause=_pause(fields))
    transitions = [
        *_transitions(TransitionKind.ASLEEP, _OTHER, fields.get(b"asleep", b"")),
        *_woken(fields.get(b"woke", b""), fields.get(b"traces", b"")),
        *_transitions(TransitionKind.FORGOTTEN, _OTHER, fields.get(b"forgotten", b"")),
    ]
    return Entry(stream, number, tuple(transitions), epoch_begins=b"epoch" in fields)


def _transitions(kind: TransitionKind, form: struct.Struct, packed: bytes) -> list[Transition]:
    return [
        Transition(UserKey(user), kind, *instants) for user, *instants in form.iter_unpack(packed)
    ]


def _woken(packed: bytes, traces: bytes) -> list[Transition]:
    woken = _transitions(TransitionKind.WOKE, _WOKE, packed)
    if not traces:
        return woken
    known = {user: trace.decode() for user, trace in TRACE.iter_unpack(traces)}
    return [replace(each, trace=known.get(each.user, "")) for each in woken]


def _pause(fields: Mapping[bytes, bytes]) -> Pause:
    return Pause(float(fields[b"until"]), fields[b"reason"].decode())
