"""A Valkey of a test's own, to be killed and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from eros_cli.embedded.valkey import Valkey
from eros_cli.mesh.ports import Ports


class OwnValkey:
    """Keeps its port over restarts, and its data if durable."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        # None of outgoing connections: who looks for it while it is away could take it.
        port = Ports().free()
        self._server = Valkey(folder / "data", port, folder / "password", durable)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def password(self) -> str:
        return self._server.password_file.read_text()

    async def follow(self, primary: OwnValkey) -> None:
        """A replica of it from now on; returns when it has all that the other has."""
        async with Redis.from_url(self.url) as redis, Redis.from_url(primary.url) as followed:
            await redis.config_set("masterauth", primary.password)
            await redis.replicaof(*primary.address.split(":"))
            async with asyncio.timeout(15):
                while not await followed.wait(1, 1000):
                    pass

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
