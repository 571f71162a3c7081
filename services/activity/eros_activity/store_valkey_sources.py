"""The register of access-log sources in Valkey: one small hash."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final, cast

from eros_activity.domain.gaps import Source
from eros_activity.ports import Abandoned
from eros_activity.shards import SOURCES
from eros_activity.valkey_functions import Call, Functions, away_as_store_away

_RECORD: Final = struct.Struct("<Qd")


class ValkeySources:
    """``SourceRegister`` on Valkey."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._redis = functions.redis

    async def save(self, settled: Mapping[Source, int]) -> None:
        if settled:
            arguments = [
                part for source, number in settled.items() for part in (str(source), number)
            ]
            await self._functions.call([Call("save_sources", (SOURCES,), arguments)])

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

    async def abandoned(self, seconds: float) -> list[Abandoned]:
        [found] = await self._functions.call([Call("abandoned", (SOURCES,), (seconds,))])
        return [
            Abandoned(_source(name), settled, float(ago))
            for name, settled, ago in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]

    async def forget(self, sources: Sequence[Source], seconds: float) -> None:
        if sources:
            names = [str(source) for source in sources]
            call = Call("forget_abandoned", (SOURCES,), (seconds, *names))
            await self._functions.call([call])


def _source(name: bytes) -> Source:
    boot, _, worker = name.decode().rpartition("/")
    return Source(boot, worker)
