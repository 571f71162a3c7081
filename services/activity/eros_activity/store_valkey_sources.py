"""The register of access-log sources in Valkey: one small hash."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, cast

from eros_activity.domain.gaps import Source
from eros_activity.ports import SourceRecord
from eros_activity.shards import SOURCES
from eros_activity.valkey_functions import Call, Functions, away_as_store_away

_RECORD: Final = struct.Struct("<Qd")


class ValkeySources:
    """``SourceRegister`` on Valkey."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._redis = functions.redis

    @away_as_store_away
    async def save(self, records: Sequence[SourceRecord]) -> None:
        if records:
            await self._redis.hset(
                SOURCES,
                mapping={str(r.source): _RECORD.pack(r.settled, r.read_wall) for r in records},
            )

    @away_as_store_away
    async def find(self, sources: Sequence[Source]) -> dict[Source, int]:
        if not sources:
            return {}
        names = [str(source) for source in sources]
        values = cast("list[bytes | None]", await self._redis.hmget(SOURCES, names))
        return {
            source: _RECORD.unpack(value)[0]
            for source, value in zip(sources, values, strict=True)
            if value is not None
        }

    async def take_abandoned(self, before_wall: float) -> list[SourceRecord]:
        call = Call("take_abandoned", (SOURCES,), (repr(before_wall),))
        [taken] = await self._functions.call([call])
        return [
            SourceRecord(_source(field), *_RECORD.unpack(value))
            for field, value in zip(taken[::2], taken[1::2], strict=True)
        ]


def _source(field: bytes) -> Source:
    boot, _, worker = field.decode().rpartition("/")
    return Source(boot, worker)
