"""The bidi stream to the scheduler: opened, kept, watched for silence, opened again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import grpc

from eros.scheduler.v1 import work_pb2 as pb
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common import logging
from eros_matcher.worker import translate
from eros_matcher.worker.events import Connected, Disconnected, Event, Silent, Welcomed
from eros_matcher.worker.jobs import JobKind
from eros_matcher.worker.tracing import HaltTraces

log = logging.get("worker.stream")

FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 2.0
REFUSED_BACKOFF_SECONDS = 30.0
QUEUE_MOST = 10_000
"""Messages that wait to be sent; beyond that the other side does not read."""

_REFUSED = frozenset(
    {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)

Call = grpc.aio.StreamStreamCall[pb.WorkRequest, pb.WorkResponse]


class WorkStream:
    """Turns messages into events and sends instructions, while there is a stream.

    What is sent while there is none is dropped: the next stream begins with all that is held.
    """

    def __init__(
        self,
        stub: SchedulerServiceStub,
        on_event: Callable[[Event], None],
        *,
        worker_id: str,
        kinds: tuple[JobKind, ...],
        silence_seconds: float,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._stub = stub
        self._on_event = on_event
        self._worker_id = worker_id
        self._kinds = kinds
        self._silence = silence_seconds
        self._wall = wall
        self._call: Call | None = None
        self._queue: asyncio.Queue[pb.WorkRequest | None] = asyncio.Queue(QUEUE_MOST)
        self._traces = HaltTraces()
        self._heard = 0.0
        self._silent = False
        self._welcomed = False
        self._loop = asyncio.get_running_loop()
        self._opened = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self._leaving = asyncio.Event()
        self.ended = asyncio.Event()
        """The stream is over and no other will be opened."""

    def send(self, instruction: translate.Outgoing) -> None:
        message = translate.message_of(instruction, worker_id=self._worker_id, kinds=self._kinds)
        if message.HasField("halt_ack"):
            self._traces.acked(message.halt_ack)
        self._put(message)

    def send_status(self, *, cpu: float, cpu_cap: float, rows_running: int) -> None:
        if self._welcomed:
            self._put(translate.status_message(cpu=cpu, cpu_cap=cpu_cap, rows_running=rows_running))

    def end(self) -> None:
        """Nothing more to say; the scheduler ends the stream then."""
        if self._call is not None:
            self._queue.put_nowait(None)

    def leave(self) -> None:
        """Open no other stream; one that is not welcomed yet is given up."""
        self._leaving.set()
        if self._call is not None and not self._welcomed:
            self._call.cancel()

    def close(self) -> None:
        """Watch no longer; for the end of the process."""
        if self._watching is not None:
            self._watching.cancel()

    async def run(self) -> None:
        """For ever: connect, talk, back off."""
        self._heard = self._loop.time()
        self._watch()
        backoff = FIRST_BACKOFF_SECONDS
        while not self._leaving.is_set():
            self._opened = self._loop.time()
            code, details = await self._talk()
            if self._welcomed:
                backoff = FIRST_BACKOFF_SECONDS
            log.info("ended", code=code.name, details=details, welcomed=self._welcomed)
            wait = REFUSED_BACKOFF_SECONDS if code in _REFUSED else backoff
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), wait * random.uniform(0.5, 1.0))
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
        self.ended.set()
        await self._loop.create_future()

    async def _talk(self) -> tuple[grpc.StatusCode, str]:
        """One stream from begin to end; how it ended."""
        call: Call = self._stub.Work()
        self._call, self._welcomed = call, False
        self._queue = asyncio.Queue(QUEUE_MOST)
        writer = asyncio.create_task(_write(call, self._queue))
        self._on_event(Connected())
        try:
            while isinstance(message := await call.read(), pb.WorkResponse):
                self._hear(message)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        except ValueError as error:
            return grpc.StatusCode.INVALID_ARGUMENT, str(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return grpc.StatusCode.CANCELLED, "cut by the worker"
        finally:
            self._call = None
            call.cancel()
            writer.cancel()
            self._on_event(Disconnected())
        return grpc.StatusCode.OK, ""

    def _hear(self, message: pb.WorkResponse) -> None:
        self._heard, self._silent = self._loop.time(), False
        if message.HasField("halt"):
            self._traces.asked(message.halt)
        event = translate.event_of(message, at=self._wall())
        if isinstance(event, Welcomed):
            self._welcomed = True
            log.info("welcomed", scheduler=message.welcome.scheduler_id)
        if event is not None:
            self._on_event(event)

    def _put(self, message: pb.WorkRequest) -> None:
        if self._call is None:
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("not_read", waiting=self._queue.qsize())
            self._call.cancel()

    def _watch(self) -> None:
        """Notice silence; a stream that is silent since it was opened is cut."""
        now = self._loop.time()
        if now - self._heard >= self._silence and not self._silent:
            self._silent = True
            self._on_event(Silent(self._wall()))
        if self._silent and self._call is not None and now - self._opened >= self._silence:
            self._call.cancel()
        due = now + self._silence / 4 if self._silent else self._heard + self._silence
        self._watching = self._loop.call_at(due, self._watch)


async def _write(call: Call, queue: asyncio.Queue[pb.WorkRequest | None]) -> None:
    """Send what is queued; None ends our side."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        # Where this fails, reading fails as well, and says why.
        while (message := await queue.get()) is not None:
            await call.write(message)
        await call.done_writing()
