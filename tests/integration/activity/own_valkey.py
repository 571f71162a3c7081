"""A Valkey of a test's own, to be killed and started again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from eros_cli.embedded.valkey import Valkey


class OwnValkey:
    """Keeps its port over restarts, and its data if durable."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self._server = Valkey(folder / "data", _free_port(), folder / "password", durable)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        self._server.prepare()
        program = self._server.program()
        self._process = await asyncio.create_subprocess_exec(
            *program.command,
            env=dict(program.environment),
            stdout=asyncio.subprocess.DEVNULL,
        )
        await program.ready()

    async def write_down(self) -> None:
        """Waits until what was done is in the append-only file."""
        async with Redis.from_url(self.url) as redis:
            await redis.waitaof(1, 0, 5000)

    async def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@asynccontextmanager
async def own_valkey(folder: Path, *, durable: bool = True) -> AsyncIterator[OwnValkey]:
    valkey = OwnValkey(folder, durable=durable)
    await valkey.start()
    try:
        yield valkey
    finally:
        await valkey.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
