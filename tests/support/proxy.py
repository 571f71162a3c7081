"""A way to a server that can be cut, and that can swallow what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on to an address, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self._far = urlsplit(url)
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        """The same URL by this way."""

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator[Proxy]:
        proxy = cls(url)
        server = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        secret, at, _ = proxy._far.netloc.rpartition("@")
        proxy.url = proxy._far._replace(netloc=f"{secret}{at}127.0.0.1:{port}").geturl()
        try:
            yield proxy
        finally:
            server.close()
            await proxy._drop()

    async def cut(self) -> None:
        """Ends every connection and accepts no other."""
        self._refusing = True
        await self._drop()

    def freeze(self) -> None:
        """Accepts, and answers nothing."""
        self._open.clear()

    def mend(self) -> None:
        self._refusing = False
        self._open.set()

    async def _drop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # What waits when it is cut ends here, not in the log of the server.
            with suppress(asyncio.CancelledError, OSError):
                await self._join(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._far.hostname, self._far.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far_writer))
                group.create_task(self._pass(far_reader, writer))
        finally:
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            writer.close()
