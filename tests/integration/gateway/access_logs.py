"""The receiving end of Envoy's access-log stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy_als import als_pb2, als_pb2_grpc
from google.protobuf.json_format import MessageToDict

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as the activity service learns of it."""

    route: str
    status: int
    eros: dict[str, Any]


@dataclass(slots=True)
class AccessLogs(als_pb2_grpc.AccessLogServiceServicer, activity_pb2_grpc.EdgeServiceServicer):
    """Keeps every entry, and names the sessions that have ended."""

    entries: list[Entry] = field(default_factory=list)
    port: int = 0
    ended: list[str] = field(default_factory=list)
    ended_unknown: bool = False
    """Whether the list cannot be had."""
    asked: list[str] = field(default_factory=list)
    """What was known of it by whoever asked."""
    signs: list[tuple[str, int, str]] = field(default_factory=list)
    """Who, when (milliseconds) and the session, of those that came together."""
    batches: int = 0
    signs_refused: bool = False
    """Whether what comes together cannot be written down."""
    signs_came: int = 0
    """How often some came together, written down or not."""
    writing: asyncio.Event = field(default_factory=asyncio.Event)
    """Unless it is set, whatever comes together waits."""
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.writing.set()

    async def StreamAccessLogs(self, messages: AsyncIterator[Any], _: object) -> Any:
        async for message in messages:
            async with self._came:
                self.entries += [_entry(found) for found in message.http_logs.log_entry]
                self._came.notify_all()
        return als_pb2.StreamAccessLogsResponse()

    async def ListEndedSessions(
        self, request: pb.ListEndedSessionsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ListEndedSessionsResponse:
        self.asked.append(request.known)
        if self.ended_unknown:
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        version = str(len(self.ended))
        new = [] if request.known == version else self.ended
        return pb.ListEndedSessionsResponse(version=version, session_ids=new)

    async def TakeSigns(
        self, request: pb.TakeSignsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.TakeSignsResponse:
        if self.signs_refused:
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        async with self._came:
            self.signs_came += 1
            self._came.notify_all()
        await self.writing.wait()
        async with self._came:
            self.batches += 1
            self.signs += [
                (line[:36], int(line[36:49]), line[49:]) for line in request.signs.splitlines()
            ]
            self._came.notify_all()
        return pb.TakeSignsResponse()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Until what has come is as it should be."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(happened)

    async def have(self, count: int) -> list[Entry]:
        """All entries, once there are so many."""
        async with asyncio.timeout(10), self._came:
            await self._came.wait_for(lambda: len(self.entries) >= count)
        return self.entries

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[AccessLogs]:
        server = grpc.aio.server()
        als_pb2_grpc.add_AccessLogServiceServicer_to_server(self, server)
        activity_pb2_grpc.add_EdgeServiceServicer_to_server(self, server)
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)


def _entry(found: Any) -> Entry:
    common = found.common_properties
    return Entry(
        route=common.route_name,
        status=found.response.response_code.value,
        eros=MessageToDict(common.metadata.filter_metadata["eros"]),
    )
