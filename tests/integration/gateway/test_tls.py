"""TLS by configuration, and a certificate that is renewed while people are connected."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from tests.integration.gateway.edge import API, Edge, open_edge
from tests.support.certificates import Pair

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROFILE = f"{API}/users/profile"


async def _answers(client: httpx.AsyncClient, edge: Edge) -> int:
    url = f"https://localhost:{edge.port}{PROFILE}"
    async with asyncio.timeout(10):
        while True:
            try:
                status = (await client.get(url, headers=edge.bearer())).status_code
            except httpx.ConnectError:
                status = 0
            if status not in (0, 503):
                return status
            await asyncio.sleep(0.02)


async def test_tls_by_configuration_and_its_renewal(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    first, second = Pair.fresh(), Pair.fresh()
    certificate, key = first.put(folder)
    async with (
        open_edge(
            tmp_path,
            scheme="https",
            gateway_tls_certificate_file=certificate,
            gateway_tls_key_file=key,
        ) as edge,
        httpx.AsyncClient(verify=first.trusted(), trust_env=False) as before,
        httpx.AsyncClient(verify=second.trusted(), trust_env=False) as after,
    ):
        assert await _answers(before, edge) == 200
        trusted = first.trusted()
        trusted.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("localhost", edge.port, ssl=trusted)
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        writer.close()
        # What is said in plain text is not understood.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await edge.raw(f"GET {PROFILE} HTTP/1.1\r\nhost: x\r\n\r\n".encode())

        second.put(folder)
        assert await _answers(after, edge) == 200
        # Who was connected stays so; who comes now and trusts only the old one does not.
        assert await _answers(before, edge) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("localhost", edge.port, ssl=first.trusted())
