"""The port that the gateway asks for printed answers: HTTP/1.1, GET, one request at a time."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.metrics import CallbackOptions, Observation

from eros_common import logging, telemetry
from eros_common.auth.authenticator import Authenticator
from eros_common.errors import ErosError
from eros_common.ids import UserId
from eros_common.logging import request_id
from eros_common.server import CannotListen

log = logging.get("shortcut")

Read = Callable[[UserId, str], Awaitable[bytes | None]]
"""A person's answer to a method, as a ``printer`` printed it, by the query string of the request
(such as ``limit=5``); None or an ``ErosError``: the call is to say why there is none."""

_HEAD_END: Final = b"\r\n\r\n"
_SAMPLED: Final = b"-01"
"""How a traceparent ends whose trace is recorded."""
_LONGEST_HEAD: Final = 32 * 1024
_REQUEST: Final = re.compile(rb"GET ([^ ?]+)(?:\?([^ ]*))? HTTP/1\.1")
_NOTHING: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_REFUSED: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(slots=True)
class _Method:
    """One method, and what became of its reads: an instrument that is told of each costs as much as
    all else that is kept of a read, one that asks when it is read costs nothing."""

    name: str
    read: Read
    answered: int = 0
    unchanged: int = 0
    left: int = 0


class ReadPort:
    """Bound at once; answers nothing but 404 until it is told to serve.

    ``reads`` is by full method path, ``/package.Service/Method``.
    """

    def __init__(
        self, listen: str, reads: Mapping[str, Read], authenticator: Authenticator
    ) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._socket = socket.create_server((host.strip("[]"), int(port)), backlog=1024)
        except (OSError, ValueError):
            raise CannotListen(
                f"cannot listen on {listen}: the address is in use or not of this machine"
            ) from None
        self.port: int = self._socket.getsockname()[1]
        self._reads = {
            path.encode(): _Method(path.lstrip("/"), read) for path, read in reads.items()
        }
        telemetry.meter().create_observable_counter(
            "eros.shortcut.reads",
            callbacks=[self._counted],
            unit="{read}",
            description="Reads that were asked for the short way",
        )
        self._authenticator = authenticator
        self._serves = False
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._answer, self._connections), sock=self._socket
        )

    async def serving(self) -> None:
        self._serves = True

    async def not_serving(self) -> None:
        self._serves = False

    async def stop(self, grace: float) -> None:
        """Lets what is under way end for ``grace`` seconds."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        tasks = {one.task for one in self._connections if one.task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for connection in list(self._connections):
            connection.close()

    def _counted(self, _: CallbackOptions) -> Iterable[Observation]:
        for one in self._reads.values():
            outcomes = {"answered": one.answered, "unchanged": one.unchanged, "left": one.left}
            for outcome, count in outcomes.items():
                yield Observation(count, {"method": one.name, "outcome": outcome})

    async def _answer(
        self, path: bytes, query: str, authorization: str | None, known: bytes, parent: str
    ) -> bytes:
        found = self._reads.get(path)
        if found is None or not self._serves:
            return _NOTHING
        if not parent:
            return await self._read(found, query, authorization, known)
        begin = time.time()
        with telemetry.below(parent):
            answer = await self._read(found, query, authorization, known)
        status = answer[9:12].decode()
        telemetry.note(
            f"read {found.name}", parent, begin, time.time(), **{"http.status_code": status}
        )
        return answer

    async def _read(
        self, found: _Method, query: str, authorization: str | None, known: bytes
    ) -> bytes:
        try:
            user = await self._authenticator.user(authorization)
            body = await found.read(user.user_id, query)
        except ErosError:
            body = None  # the call says it better
        if body is None:
            found.left += 1
            return _NOTHING
        return _answer(body, found, known)


def _answer(body: bytes, found: _Method, known: bytes) -> bytes:
    # As the gateway does it for answers by a call (lua/etag.lua).
    tag = b'"%08x%08x"' % (zlib.crc32(body), zlib.adler32(body))
    if tag in known or known.strip() == b"*":
        found.unchanged += 1
        return b"HTTP/1.1 304 Not Modified\r\netag: W/%s\r\n\r\n" % tag
    found.answered += 1
    head = b"HTTP/1.1 200 OK\r\netag: W/%s\r\ncontent-length: %d\r\n\r\n" % (tag, len(body))
    return head + body


class _Connection(asyncio.Protocol):
    """One kept connection of a gateway, which never has more than one request on it."""

    def __init__(
        self,
        answer: Callable[[bytes, str, str | None, bytes, str], Awaitable[bytes]],
        connections: set[_Connection],
    ) -> None:
        self._answer = answer
        self._connections = connections
        self._received = b""
        self._transport: Any = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(_HEAD_END):
            if len(self._received) > _LONGEST_HEAD or _HEAD_END in self._received:
                self._refuse()
            return
        request, *lines = self._received[:-4].split(b"\r\n")
        self._received = b""
        asked = _REQUEST.fullmatch(request)
        if asked is None or self.task is not None:
            self._refuse()
            return
        authorization: str | None = None
        known, parent, request_of = b"", "", ""
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                self._refuse()  # a second request, or nothing that we know
                return
            match name.lower():
                case b"authorization":
                    authorization = value.strip().decode("latin-1")
                case b"if-none-match":
                    known = value
                case b"x-request-id":
                    request_of = value.strip().decode("latin-1")
                case b"traceparent" if value.endswith(_SAMPLED):
                    parent = value.strip().decode("latin-1")
                case b"content-length" | b"transfer-encoding":
                    self._refuse()
                    return
        query = (asked[2] or b"").decode("latin-1")
        request_id.set(request_of)  # the task takes it along
        self.task = asyncio.create_task(
            self._respond(asked[1], query, authorization, known, parent)
        )

    async def _respond(
        self, path: bytes, query: str, authorization: str | None, known: bytes, parent: str
    ) -> None:
        try:
            answer = await self._answer(path, query, authorization, known, parent)
        except Exception:  # the call answers instead
            log.exception("unexpected", method=path.decode("latin-1"))
            answer = _NOTHING
        self.task = None
        self._transport.write(answer)

    def _refuse(self) -> None:
        self._transport.write(_REFUSED)
        self._transport.close()
