"""Pods are replaced: the name leads elsewhere, and callers follow it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from eros_common.channel import open_channel

_A, _IN = 1, 1


class Names(asyncio.DatagramProtocol):
    """A server of names that knows one address, whatever it is asked for."""

    def __init__(self, address: str) -> None:
        self.address = address

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        number = data[:2]
        name = data[12 : data.index(b"\0", 12) + 1]
        question = data[12 : 12 + len(name) + 4]
        (kind,) = struct.unpack("!H", question[-4:-2])
        found = b""
        if kind == _A:
            record = struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4)
            found = record + socket.inet_aton(self.address)
        head = struct.pack("!HHHHH", 0x8580, 1, bool(found), 0, 0)
        self._transport.sendto(number + head + question + found, addr)


@asynccontextmanager
async def pod(address: str, port: int) -> AsyncIterator[int]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    bound = server.add_insecure_port(f"{address}:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0)


async def test_a_replaced_pod_is_followed_within_seconds() -> None:
    loop = asyncio.get_running_loop()
    transport, names = await loop.create_datagram_endpoint(
        lambda: Names("127.0.0.2"), local_addr=("127.0.0.1", 0)
    )
    dns = transport.get_extra_info("sockname")[1]
    asked = health_pb2.HealthCheckRequest()
    try:
        async with pod("127.0.0.2", 0) as port:
            channel = open_channel(f"dns://127.0.0.1:{dns}/activity.test:{port}")
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            await check(asked, timeout=20)
            names.address = "127.0.0.3"
        # The old one is gone right after it was looked up; nothing listens at its address.
        began = time.monotonic()
        async with channel, pod("127.0.0.3", port):
            await check(asked, timeout=20, wait_for_ready=True)
        # gRPC by itself asks again after half a minute.
        assert time.monotonic() - began < 10
    finally:
        transport.close()
