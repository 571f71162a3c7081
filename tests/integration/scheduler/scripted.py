"""An activity service and workers that do what a test tells them, over real gRPC."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros.scheduler.v1 import work_pb2 as pb
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common.ids import UserId
from eros_scheduler.core.model import HeldJob, JobKind

KEEPALIVE_SECONDS = 0.1
HEARD_SECONDS = 20.0
"""A test waits so long for a message before it fails."""

_TRANSITION = activity_pb2.Transition


class ScriptedActivity(activity_pb2_grpc.ActivityServiceServicer):
    """Everybody in `sleepers` sleeps since then (night, seconds); `wake` and `fall_asleep` tell
    every watcher."""

    def __init__(self) -> None:
        self.sleepers: dict[UserId, float] = {}
        self.watched_since = 0.0
        self.touched: list[activity_pb2.Interaction] = []
        self.cursors: list[str] = []
        """What each watcher began with."""
        self._log: list[activity_pb2.WatchTransitionsResponse] = []
        self._news = asyncio.Condition()
        self._frozen = asyncio.Event()
        self._cut = asyncio.Event()

    async def tell(self, **fields: Any) -> None:
        async with self._news:
            cursor = str(len(self._log) + 1)
            self._log.append(activity_pb2.WatchTransitionsResponse(cursor=cursor, **fields))
            self._news.notify_all()

    async def wake(self, *users: UserId, at: float) -> float:
        """Returns the wall second of the touch."""
        touched_at = time.time()
        for user in users:
            self.sleepers.pop(user, None)
        await self._move(users, activity_pb2.TRANSITION_KIND_WOKE, at, touched_at)
        return touched_at

    async def fall_asleep(self, *users: UserId, at: float) -> None:
        self.sleepers.update(dict.fromkeys(users, at))
        await self._move(users, activity_pb2.TRANSITION_KIND_ASLEEP, at, 0.0)

    async def _move(self, users: Sequence[UserId], kind: Any, at: float, touched: float) -> None:
        await self.tell(
            transitions=[
                _TRANSITION(user_id=user.bytes, kind=kind, at=at, touched_at=touched)
                for user in users
            ]
        )

    async def pause(self, seconds: float, reason: str) -> None:
        until = Timestamp()
        until.FromNanoseconds(round((time.time() + seconds) * 1e9))
        await self.tell(paused_until=until, pause_reason=reason)

    async def freeze(self) -> None:
        """Say nothing more, not even that it is alive."""
        self._frozen.set()
        async with self._news:
            self._news.notify_all()

    def thaw(self) -> None:
        self._frozen.clear()

    async def cut(self) -> None:
        """End every watcher's stream."""
        self._cut.set()
        async with self._news:
            self._news.notify_all()
        self._cut = asyncio.Event()

    async def Touch(
        self, request: activity_pb2.TouchRequest, context: Any
    ) -> activity_pb2.TouchResponse:
        self.touched += request.interactions
        return activity_pb2.TouchResponse()

    async def WatchTransitions(
        self, request: activity_pb2.WatchTransitionsRequest, context: Any
    ) -> AsyncIterator[activity_pb2.WatchTransitionsResponse]:
        self.cursors.append(request.cursor)
        cut = self._cut
        position = int(request.cursor) if request.cursor else len(self._log)
        if not request.cursor:
            yield self._snapshot(position)
        while not cut.is_set():
            if self._frozen.is_set():
                await cut.wait()
                return
            news = self._log[position:]
            position = len(self._log)
            for message in news:
                yield message
            if not news:
                yield activity_pb2.WatchTransitionsResponse(cursor=str(position))
                with suppress(TimeoutError):
                    async with self._news:
                        await asyncio.wait_for(
                            self._news.wait_for(
                                lambda p=position: (
                                    len(self._log) > p  # type: ignore[misc]
                                    or self._frozen.is_set()
                                    or cut.is_set()
                                )
                            ),
                            KEEPALIVE_SECONDS,
                        )

    def _snapshot(self, position: int) -> activity_pb2.WatchTransitionsResponse:
        return activity_pb2.WatchTransitionsResponse(
            cursor=str(position),
            snapshot=True,
            snapshot_end=True,
            watched_since=self.watched_since,
            transitions=[
                _TRANSITION(user_id=user.bytes, kind=activity_pb2.TRANSITION_KIND_ASLEEP, at=since)
                for user, since in self.sleepers.items()
            ],
        )


class ScriptedWorker:
    """One stream of one worker. `heard` gives the next message of a kind, skipping others."""

    def __init__(
        self, stub: SchedulerServiceStub, name: str, metadata: Any, *, version: int = 1
    ) -> None:
        self.name = name
        self._call: Any = stub.Work(metadata=metadata)
        self._version = version
        self.received: dict[str, asyncio.Queue[Any]] = {}
        self.received_at: dict[str, float] = {}
        """Wall second at which the last message of each kind came."""
        self._reader: asyncio.Task[None] | None = None

    async def hello(
        self,
        *held: HeldJob,
        kinds: Sequence[JobKind] = (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH),
    ) -> None:
        jobs = [
            pb.HeldJob(user_id=job.user_id.bytes, kind=_kind(job.kind), token=job.token)
            for job in held
        ]
        hello = pb.Hello(
            worker_id=self.name,
            protocol_version=self._version,
            kinds=[_kind(kind) for kind in kinds],
            held=jobs,
        )
        await self.send(hello=hello)
        self._reader = asyncio.create_task(self._read())

    async def send(self, **message: Any) -> None:
        await self._call.write(pb.WorkRequest(**message))

    async def ready(self) -> None:
        await self.send(ready=pb.Ready())

    async def heard(self, kind: str) -> Any:
        queue = self.received.setdefault(kind, asyncio.Queue())
        async with asyncio.timeout(HEARD_SECONDS):
            return await queue.get()

    def waiting(self, kind: str) -> int:
        """How many messages of a kind were not looked at."""
        return self.received.setdefault(kind, asyncio.Queue()).qsize()

    async def acknowledge(self, halt: pb.HaltBatch, kind: JobKind) -> None:
        now = time.time()
        jobs = [
            pb.HaltedJob(
                user_id=user.user_id, kind=_kind(kind), at=now, received_at=now, was_running=True
            )
            for user in halt.users
        ]
        await self.send(halt_ack=pb.HaltAck(nonce=halt.nonce, durable=jobs, left=jobs))

    async def end_batch(
        self, lease: pb.LeaseBatch, completed: Sequence[bytes], *, seconds: float = 0.5
    ) -> None:
        end = pb.BatchEnd(batch_id=lease.batch_id, completed=completed, seconds=seconds)
        await self.send(batch_end=end)

    async def failed(self) -> grpc.aio.AioRpcError:
        """How the stream was refused."""
        assert self._reader is not None
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), HEARD_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the stream ended well")

    async def ended(self) -> None:
        """Waits until the scheduler has ended the stream, without an error."""
        assert self._reader is not None
        await asyncio.wait_for(asyncio.shield(self._reader), HEARD_SECONDS)

    async def say_no_more(self) -> None:
        await self._call.done_writing()

    async def close(self) -> None:
        """Gone without a word."""
        self._call.cancel()
        if self._reader is not None:
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError):
                await self._reader

    async def _read(self) -> None:
        while isinstance(message := await self._call.read(), pb.WorkResponse):
            kind = message.WhichOneof("message")
            assert kind is not None
            self.received_at[kind] = time.time()
            self.received.setdefault(kind, asyncio.Queue()).put_nowait(getattr(message, kind))


def _kind(kind: JobKind) -> pb.JobKind.ValueType:
    return pb.JobKind.ValueType(kind)
