"""TLS before a server that speaks none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.certificates import Pair


@asynccontextmanager
async def tls_front(target: str, pair: Pair, folder: Path, *, postgres: bool) -> AsyncIterator[int]:
    """A port of ours that speaks TLS and passes on what it is told to the server of an address."""
    certificate, key = pair.put(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    to = urlsplit(target)
    running: set[asyncio.Task[None] | None] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(asyncio.current_task())
        if postgres:
            # SSLRequest: its length and code; S: go on.
            assert await reader.readexactly(8) == (8).to_bytes(4) + (80877103).to_bytes(4)
            writer.write(b"S")
        with suppress(OSError):
            await writer.start_tls(context)
            back, forth = await asyncio.open_connection(to.hostname, to.port)
            await asyncio.gather(pump(reader, forth), pump(back, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            if task is not None:
                task.cancel()
