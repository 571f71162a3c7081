"""The mirror of ended sessions hears of each once, and ends when it is told to, at whatever moment,
and leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from eros_common.auth.revocation import (
    CHANNEL,
    KEY,
    VERSION_KEY,
    RevocationMirror,
    Revocations,
)
from eros_common.ids import SessionId
from eros_common.redis import Valkey, open_redis, subscribed
from eros_common.testing import FakeClock

_TURNS = 24
"""Of the loop, from the start until it is subscribed and has read the set."""


def _sockets() -> int:
    return sum(os.readlink(entry).startswith("socket:") for entry in _descriptors())


def _descriptors() -> list[Path]:
    return [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]


@pytest.mark.skipif(sys.platform != "linux", reason="counts sockets in /proc")
@pytest.mark.parametrize("turns", range(_TURNS))
async def test_cancelled_early_it_keeps_no_connection(valkey_url: str, turns: int) -> None:
    gc.collect()  # what other tests left is not counted
    before = _sockets()
    async with open_redis(valkey_url, app="test") as redis:
        mirror = asyncio.create_task(RevocationMirror(redis).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        mirror.cancel()
        done, _ = await asyncio.wait({mirror}, timeout=20)
        assert done, "it was told once to end, and goes on"
        assert mirror.cancelled()
    # A transport closes its socket in the loop's next turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert _sockets() <= before


UNTIL = datetime.now(UTC) + timedelta(minutes=15)
ONE, TWO = SessionId("one"), SessionId("two")


@asynccontextmanager
async def _mirrored(redis: Valkey) -> AsyncIterator[RevocationMirror]:
    mirror = RevocationMirror(redis, poll_seconds=0.01)
    running = asyncio.create_task(mirror.run())
    try:
        await mirror.ready()
        yield mirror
    finally:
        running.cancel()
        await asyncio.wait({running})


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


async def test_what_is_told_again_is_heard_once(valkey_url: str) -> None:
    async with (
        open_redis(valkey_url, app="test") as redis,
        subscribed(redis, CHANNEL) as channel,
    ):
        revocations = Revocations(redis)
        await revocations.revoke(ONE, UNTIL)
        version = await redis.get(VERSION_KEY)
        for until in (UNTIL, UNTIL - timedelta(minutes=1), UNTIL):
            await revocations.revoke(ONE, until)
        assert await redis.get(VERSION_KEY) == version
        await revocations.revoke(TWO, UNTIL)
        heard = [message["data"] for _ in range(2) async for message in _one(channel)]
        assert heard == [ONE.encode(), TWO.encode()]


async def _one(channel: Any) -> AsyncIterator[Any]:
    async for message in channel.listen():
        if message["type"] == "message":
            yield message
            return


async def test_the_ids_are_others_only_when_they_are(valkey_url: str) -> None:
    async with open_redis(valkey_url, app="test") as redis, _mirrored(redis) as mirror:
        revocations = Revocations(redis)
        await revocations.revoke(ONE, UNTIL)
        await _until(lambda: ONE in mirror)
        before = mirror.changes
        await revocations.revoke(ONE, UNTIL + timedelta(minutes=1))
        version = await redis.get(VERSION_KEY)
        await _until(lambda: mirror._version == version)
        assert mirror.changes == before
        await revocations.revoke(TWO, UNTIL)
        await _until(lambda: TWO in mirror)
        assert mirror.changes == before + 1


async def test_what_valkey_lost_and_is_told_again_is_read_again(valkey_url: str) -> None:
    async with open_redis(valkey_url, app="test") as redis:
        revocations = Revocations(redis)
        await revocations.revoke(ONE, UNTIL)
        first = await redis.get(VERSION_KEY)
        await redis.delete(KEY, VERSION_KEY)
        later = FakeClock()
        later.advance((datetime.now(UTC) - later.wall()).total_seconds() + 2)
        await Revocations(redis, clock=later).revoke(TWO, UNTIL)
        assert await redis.get(VERSION_KEY) != first
