"""The whole service in the test's process, its callers, and a gateway that streams its log."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import grpc
from envoy_als import als_pb2, als_pb2_grpc

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1 import activity_pb2_grpc
from eros_activity.__main__ import compose
from eros_activity.config import ActivitySettings
from eros_common import config
from eros_common.channel import open_channel
from eros_common.ids import UserId, new_user_id
from eros_common.lifecycle import running
from eros_common.testing import TestTokens

MAIN, ALS = "127.0.0.1:0", "127.0.0.2:0"


@dataclass(frozen=True, slots=True)
class Activity:
    """A running replica. Night settings are such that a test can pass ten minutes in no time."""

    stub: activity_pb2_grpc.ActivityServiceStub
    address: str
    als_address: str
    tokens: TestTokens

    async def heartbeat(self, user: UserId, **fields: Any) -> pb.HeartbeatResponse:
        return await self.stub.Heartbeat(
            pb.HeartbeatRequest(**fields), metadata=self.tokens.user(user)
        )

    async def touch(self, *touches: tuple[UserId, float]) -> int:
        """At instants of the night clock; 0 for now."""
        interactions = [pb.Interaction(user_id=user.bytes, at=at) for user, at in touches]
        answer = await self.stub.Touch(
            pb.TouchRequest(interactions=interactions), metadata=self._as("operator")
        )
        return answer.woke

    async def stats(self) -> pb.ActivityStats:
        admin = self.tokens.user(new_user_id(), roles=("admin",))
        return (await self.stub.GetStats(pb.GetStatsRequest(), metadata=admin)).stats

    @asynccontextmanager
    async def watch(self, cursor: str = "") -> AsyncIterator[Watcher]:
        call = self.stub.WatchTransitions(
            pb.WatchTransitionsRequest(cursor=cursor), metadata=self._as("scheduler")
        )
        watcher = Watcher(call)
        try:
            yield watcher
        finally:
            call.cancel()

    def _as(self, service: str) -> Any:
        return self.tokens.service(service, "activity")


class StreamEnded(Exception):
    """The service ended a stream."""


@dataclass(slots=True)
class Watcher:
    """What a scheduler sees of one stream."""

    call: Any
    cursor: str = ""
    asleep: dict[UserId, float] = field(default_factory=dict)
    events: list[pb.Transition] = field(default_factory=list)
    """Transitions behind the snapshot, in order."""
    snapshot_ended: bool = False
    messages: int = 0
    paused_until: float = 0.0
    pause_reason: str = ""
    watched_since: float = 0.0

    async def next(self) -> pb.WatchTransitionsResponse:
        try:
            message = await self.call.read()
        except grpc.aio.AioRpcError as error:
            raise StreamEnded(error.details()) from error
        if not isinstance(message, pb.WatchTransitionsResponse):
            raise StreamEnded
        self.messages += 1
        self._note(message)
        return message

    async def end(self) -> grpc.StatusCode:
        """Reads until the stream ends, and why it did."""
        async with asyncio.timeout(15):
            try:
                while True:
                    await self.next()
            except StreamEnded:
                code: grpc.StatusCode = await self.call.code()
                return code

    async def until(self, seen: Callable[[Watcher], bool], seconds: float = 15) -> Watcher:
        """Reads on until what is wanted has been seen."""
        async with asyncio.timeout(seconds):
            while not seen(self):
                await self.next()
        return self

    def paused(self, reason: str) -> bool:
        """Whether a pause for this reason holds."""
        return reason in self.pause_reason and self.paused_until > time.time()

    def happened(self, user: UserId) -> list[int]:
        return [e.kind for e in self.events if e.user_id == user.bytes]

    def _note(self, message: pb.WatchTransitionsResponse) -> None:
        self.cursor = message.cursor or self.cursor
        if message.HasField("paused_until"):
            self.paused_until = message.paused_until.ToNanoseconds() / 1e9
            self.pause_reason = message.pause_reason
        self.watched_since = message.watched_since or self.watched_since
        for transition in message.transitions:
            user = UserId(UUID(bytes=transition.user_id))
            if transition.kind == pb.TRANSITION_KIND_ASLEEP:
                self.asleep[user] = transition.at
            else:
                self.asleep.pop(user, None)
            if not message.snapshot:
                self.events.append(transition)
        self.snapshot_ended |= message.snapshot_end


@asynccontextmanager
async def activity(url: str, tokens: TestTokens, **settings: Any) -> AsyncIterator[Activity]:
    """One replica; more may run on the same store."""
    chosen = config.read(
        ActivitySettings,
        activity_redis=url,
        listen=MAIN,
        als_listen=ALS,
        **{"stop_grace_seconds": 2.0, "sweep_seconds": 0.05, **settings},
    )
    async with running("activity", chosen, compose, auth=tokens.auth("activity")) as service:
        address = f"127.0.0.1:{service.port}"
        channel = open_channel(address, retry=False)
        try:
            yield Activity(
                activity_pb2_grpc.ActivityServiceStub(channel),
                address,
                f"127.0.0.2:{service.port_of(ALS)}",
                tokens,
            )
        finally:
            await channel.close()


class Gateway:
    """One thread of a gateway: numbers its entries and streams them."""

    def __init__(self, worker: str = "w1") -> None:
        # Of this gateway alone: a replica of the test before may say only now up to where it read.
        self.boot = uuid4().hex
        self.worker = worker
        self.numbers = itertools.count(1)
        self._call: Any = None
        self._channel: grpc.aio.Channel | None = None

    async def connect(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        stub = als_pb2_grpc.AccessLogServiceStub(self._channel)
        self._call = stub.StreamAccessLogs()

    async def disconnect(self) -> None:
        assert self._channel is not None
        self._call.cancel()
        await self._channel.close()

    def entry(self, user: UserId | str, start: float, **stamp: Any) -> Any:
        """One request that began at a wall instant; takes the next number."""
        entry = als_pb2.StreamAccessLogsMessage.HTTPAccessLogEntries().log_entry.add()
        properties = entry.common_properties
        properties.start_time.FromNanoseconds(round(start * 1e9))
        fields = {
            "user": str(user),
            "boot": self.boot,
            "worker": self.worker,
            "seq": next(self.numbers),
            **stamp,
        }
        properties.metadata.filter_metadata["eros"].update(
            {name: value for name, value in fields.items() if value is not None}
        )
        return entry

    async def send(self, *entries: Any) -> None:
        message = als_pb2.StreamAccessLogsMessage()
        message.http_logs.log_entry.extend(entries)
        await self._call.write(message)

    def lose(self, count: int = 1) -> None:
        """Entries that were numbered and never arrive."""
        for _ in range(count):
            next(self.numbers)


@asynccontextmanager
async def gateway(address: str, worker: str = "w1") -> AsyncIterator[Gateway]:
    """A gateway that streams to a replica's access-log address."""
    one = Gateway(worker=worker)
    await one.connect(address)
    try:
        yield one
    finally:
        await one.disconnect()


def users(count: int) -> list[UserId]:
    return [new_user_id() for _ in range(count)]
