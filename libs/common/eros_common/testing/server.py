"""A real gRPC server in the test's process, on a free port, with the whole pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from eros_common.auth import Authenticator
from eros_common.channel import open_channel
from eros_common.server import AddServicer, Registration, Server, ServerOptions
from eros_common.testing.tokens import TestTokens


@dataclass(frozen=True, slots=True)
class TestServer:
    """``name`` is the audience of service tokens; ``channel`` is anonymous."""

    __test__ = False

    name: str
    port: int
    address: str
    channel: grpc.aio.Channel


@asynccontextmanager
async def start_server(
    *served: tuple[AddServicer, object] | Registration,
    tokens: TestTokens | None = None,
    auth: Authenticator | None = None,
    name: str = "test",
    options: ServerOptions | None = None,
) -> AsyncIterator[TestServer]:
    """Serves ``(add_XServicer_to_server, servicer)`` pairs until the block ends."""
    registrations = [r if isinstance(r, Registration) else Registration(*r) for r in served]
    believed = auth or (tokens or TestTokens()).auth(name)
    server = Server("127.0.0.1:0", registrations, believed, options or ServerOptions())
    await server.start()
    await server.serving()
    address = f"127.0.0.1:{server.port}"
    channel = open_channel(address, retry=False)
    try:
        yield TestServer(name, server.port, address, channel)
    finally:
        await channel.close()
        await server.stop(0)
