"""A real Envoy with the rendered configuration, in front of backends."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx

from eros_common.ids import UserId
from eros_gateway.config import GatewaySettings
from eros_gateway.render import write
from eros_gateway.serve import find_envoy
from tests.integration.gateway.access_logs import AccessLogs
from tests.integration.gateway.backends import SERVICES, Backends

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over a plain HTTP/1.1 connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error, whose shape is as it must be."""
        answer = json.loads(self.body)
        assert answer.keys() == {"success", "error"}, answer
        error: dict[str, Any] = answer["error"]
        assert answer["success"] is False
        assert error.keys() - {"details"} == {"code", "message", "requestId"}, answer
        assert error["requestId"] == self.headers["x-request-id"]
        assert error["message"]
        return error


@dataclass(frozen=True, slots=True)
class Edge:
    """A gateway that runs."""

    settings: GatewaySettings
    backends: Backends
    logs: AccessLogs
    port: int
    user: UserId

    def token(self, **claims: Any) -> str:
        return self.backends.tokens.user_token(self.user, **claims)

    def bearer(self, token: str | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token() if token is None else token}"}

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | str | dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        signed_in: bool = True,
    ) -> Answer:
        """One request, its path sent exactly as it is given."""
        data = json.dumps(body) if isinstance(body, dict) else body
        sent = (self.bearer() if signed_in else {}) | (headers or {})
        return await asyncio.to_thread(self._call, method, path, data, sent)

    def _call(
        self, method: str, path: str, body: bytes | str | None, headers: dict[str, str]
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path)
            data = body.encode() if isinstance(body, str) else body
            if data is not None:
                headers = {"content-length": str(len(data)), **headers}
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    async def raw(self, request: bytes) -> Answer:
        """Whatever comes back for these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(30):
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {}
                for line in filter(None, head[1:]):
                    name, _, value = line.partition(": ")
                    headers[name.lower()] = value
                body = await reader.readexactly(int(headers.get("content-length", 0)))
        finally:
            writer.close()
        return Answer(int(head[0].split()[1]), headers, body)

    def channel(self) -> grpc.aio.Channel:
        """A native gRPC client's."""
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")


@asynccontextmanager
async def open_edge(
    folder: Path, backends: Backends | None = None, *, scheme: str = "http", **settings: Any
) -> AsyncIterator[Edge]:
    """A gateway until the block ends; ``settings`` by field name. Rates are off unless set."""
    own = Backends()
    logs = AccessLogs()
    async with logs.serving(), own.running() if backends is None else _as_is(backends) as behind:
        addresses = {f"{name}_address": server.address for name, server in behind.servers.items()}
        chosen = GatewaySettings(
            **{
                "gateway_listen": "127.0.0.1:0",
                "gateway_admin_socket": folder / "admin.sock",
                "gateway_access_log": str(folder / "access.log"),
                "als_address": f"127.0.0.1:{logs.port}",
                # Nobody listens there unless a test does.
                "accounts_reads_address": "127.0.0.1:1",
                "matcher_reads_address": "127.0.0.1:1",
                "rate_per_second": 0,
                "rate_sign_in_per_minute": 0,
                **addresses,
                **settings,
            }
        )
        write(chosen, folder / "envoy.yaml")
        async with _envoy(folder) as port:
            edge = Edge(chosen, behind, logs, port, UserId(uuid4()))
            if scheme == "http":
                await _until_routed(edge)
            behind.reset()
            yield edge


@asynccontextmanager
async def _as_is(backends: Backends) -> AsyncIterator[Backends]:
    yield backends


@asynccontextmanager
async def _envoy(folder: Path) -> AsyncIterator[int]:
    """Runs Envoy; gives the port it listens on."""
    binary = find_envoy()
    assert binary is not None
    arguments = ["--config-path", str(folder / "envoy.yaml"), "--disable-hot-restart"]
    options = ["--concurrency", "1", "--log-level", "warning", "--file-flush-interval-msec", "20"]
    with open(folder / "envoy.log", "wb") as log:  # noqa: ASYNC230 - a test's, and instant
        process = await asyncio.create_subprocess_exec(
            binary, *arguments, *options, stdout=log, stderr=log
        )
    try:
        yield await _port(folder, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _port(folder: Path, process: asyncio.subprocess.Process) -> int:
    """Where the listener "public" is, as soon as the admin interface tells."""
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "admin.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
        while True:
            assert process.returncode is None, (folder / "envoy.log").read_text()
            try:
                ready = await admin.get("/ready")
                if ready.is_success:
                    found = (await admin.get("/listeners?format=json")).json()
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)
    (public,) = [one for one in found["listener_statuses"] if one["name"] == "public"]
    return int(public["local_address"]["socket_address"]["port_value"])


async def _until_routed(edge: Edge) -> None:
    """Until Envoy has found every backend that runs healthy; nothing but asking tells."""
    probes = {
        "accounts": ("GET", "/users/profile"),
        "activity": ("GET", "/activity/status"),
        "matcher": ("GET", "/matches/daily"),
        "assistant": ("GET", "/assistant/conversations/00000000-0000-4000-8000-000000000000"),
    }
    for name in probes.keys() & edge.backends.servers.keys() & SERVICES.keys():
        method, path = probes[name]
        async with asyncio.timeout(10):
            while (await edge.call(method, API + path)).status == 503:
                await asyncio.sleep(0.02)
