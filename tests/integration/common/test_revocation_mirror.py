"""The mirror of ended sessions ends when it is told to, at whatever moment, and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from eros_common.auth.revocation import RevocationMirror
from eros_common.redis import open_redis

_TURNS = 24
"""Of the loop, from the start until it is subscribed and has read the set."""


def _sockets() -> int:
    return sum(os.readlink(entry).startswith("socket:") for entry in _descriptors())


def _descriptors() -> list[Path]:
    return [entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]


@pytest.mark.skipif(sys.platform != "linux", reason="counts sockets in /proc")
@pytest.mark.parametrize("turns", range(_TURNS))
async def test_cancelled_early_it_keeps_no_connection(valkey_url: str, turns: int) -> None:
    before = _sockets()
    async with open_redis(valkey_url, app="test") as redis:
        mirror = asyncio.create_task(RevocationMirror(redis).run())
        for _ in range(turns):
            await asyncio.sleep(0)
        mirror.cancel()
        done, _ = await asyncio.wait({mirror}, timeout=5)
        assert done, "it was told once to end, and goes on"
        assert mirror.cancelled()
    # A transport closes its socket in the loop's next turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert _sockets() == before
