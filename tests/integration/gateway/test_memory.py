"""Envoy's memory has a bound of its own, below the one at which it would be killed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from pathlib import Path

import httpx

from eros_cli.mesh.ports import Ports
from tests.integration.gateway.edge import open_edge

_SLOW = (
    b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: 1000000\r\n\r\n" + b"x" * 900_000
)


async def test_bodies_that_do_not_end_take_no_more_than_there_is(tmp_path: Path) -> None:
    where = f"127.0.0.1:{Ports().free()}"
    async with (
        open_edge(
            tmp_path,
            gateway_metrics_listen=where,
            gateway_max_heap_mib=100,
            gateway_request_seconds=2,
        ) as edge,
        httpx.AsyncClient(base_url=f"http://{where}", trust_env=False) as inside,
        AsyncExitStack() as held,
    ):
        answers, most = [], 0
        for _ in range(250):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            held.enter_context(closing(writer))
            writer.write(_SLOW)
            answers.append(asyncio.create_task(reader.readline()))
            # Nobody of the inside is sent away meanwhile.
            assert (await inside.get("/ready")).status_code == 200
            most = max(most, await _allocated(inside))
        # It looks ten times a second. Without a bound: 240 MB.
        assert most < 160e6
        lines = await asyncio.gather(*answers, return_exceptions=True)
        # Those that were let in at first, and whoever was kept waiting, once there was room again.
        assert sum(isinstance(line, bytes) and b" 408 " in line for line in lines) > 50
        # When they are gone all is as before.
        async with asyncio.timeout(30):
            while (await edge.call("GET", "/api/v1/users/profile")).status == 503:
                await asyncio.sleep(0.1)


async def _allocated(inside: httpx.AsyncClient) -> int:
    text = (await inside.get("/metrics")).text
    return int(text.partition("\nenvoy_server_memory_allocated{}")[2].split()[0])
