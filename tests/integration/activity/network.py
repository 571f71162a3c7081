"""A stretch of network that can go dark without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Network:
    """Forwards bytes both ways; while dark it takes them and drops them, as a frozen peer would.

    Where its target changes, who connects next is led to the new one."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._serving: set[asyncio.Task[None]] = set()
        self.dark = False
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as both ends want it."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        writers = [writer]
        try:
            host, _, port = self.target.rpartition(":")
            to_reader, to_writer = await asyncio.open_connection(host, int(port))
            writers.append(to_writer)
            await asyncio.gather(self._forward(reader, to_writer), self._forward(to_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # nobody listens there any more, or all is over
        finally:
            for each in writers:
                each.close()
            await asyncio.gather(*(each.wait_closed() for each in writers), return_exceptions=True)
            self._serving.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.dark:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass  # the other direction ended first
        finally:
            writer.close()

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving)


@asynccontextmanager
async def network_to(target: str) -> AsyncIterator[Network]:
    network = Network(target)
    server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        server.close()
        await network.close()
