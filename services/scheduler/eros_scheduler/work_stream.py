"""The stream to one worker: its messages become events, the outbox is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from eros.scheduler.v1 import work_pb2 as pb
from eros_common import logging
from eros_common.clocks import until_beat
from eros_common.errors import ResourceExhausted
from eros_common.ids import WorkerId
from eros_scheduler import wire
from eros_scheduler.core import events as ev
from eros_scheduler.core.model import SessionId
from eros_scheduler.engine import Engine
from eros_scheduler.outbox import Outbox

log = logging.get("scheduler.work")

_ALIVE = pb.WorkResponse(alive=pb.Alive())


class WorkStreams:
    """`alive_seconds`: a worker hears something at least this often."""

    def __init__(self, engine: Engine, *, alive_seconds: float) -> None:
        self._engine = engine
        self._alive_seconds = alive_seconds

    async def serve(
        self, requests: AsyncIterator[pb.WorkRequest]
    ) -> AsyncGenerator[pb.WorkResponse, None]:
        """One stream from hello to its end. Raises InvalidArgument for what no worker sends,
        FailedPrecondition for an older protocol, ResourceExhausted for one that does not read."""
        await self._engine.started.wait()
        first = await anext(aiter(requests), pb.WorkRequest())
        session, outbox = self._engine.open_session()
        try:
            hello = wire.connected(first, session)
            reader = asyncio.create_task(self._read(requests, hello.worker, session, outbox))
            log.info("connected", worker=hello.worker, held=len(hello.held))
            self._engine.post(hello)
            try:
                while not outbox.closed:
                    wall = self._engine.now().wall
                    message = await outbox.get(until_beat(wall, self._alive_seconds))
                    if message is not None:
                        self._note_sent(message)
                        yield message
                    elif not outbox.closed:
                        yield _ALIVE
                if outbox.overflown:
                    raise ResourceExhausted("this worker does not read its stream")
            finally:
                reader.cancel()
                self._engine.post(ev.WorkerGone(hello.worker, session))
                log.info("gone", worker=hello.worker)
            with suppress(asyncio.CancelledError):
                await reader  # raises what was wrong with the worker's last message
        finally:
            self._engine.close_session(session)

    def _note_sent(self, message: pb.WorkResponse) -> None:
        if message.WhichOneof("message") == "halt":
            self._engine.post(ev.HaltSent(message.halt.nonce, self._engine.now().wall))

    async def _read(
        self,
        requests: AsyncIterator[pb.WorkRequest],
        worker: WorkerId,
        session: SessionId,
        outbox: Outbox,
    ) -> None:
        """Until the worker has nothing more to say; then the stream ends."""
        try:
            async for message in requests:
                self._engine.post(wire.event(message, worker, session))
        finally:
            outbox.close()
