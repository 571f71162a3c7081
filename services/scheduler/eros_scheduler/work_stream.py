"""The stream to one worker: its messages become events, the outbox is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from eros.scheduler.v1 import work_pb2 as pb
from eros_common import logging
from eros_common.errors import InvalidArgument, ResourceExhausted
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
    ) -> AsyncIterator[pb.WorkResponse]:
        """One stream from hello to its end. Raises InvalidArgument for what no worker sends,
        FailedPrecondition for an older protocol, ResourceExhausted for one that does not read."""
        await self._engine.started.wait()
        hello = await anext(aiter(requests), None)
        if hello is None:
            raise InvalidArgument("a work stream begins with hello")
        session, outbox = self._engine.open_session()
        try:
            event = wire.connected(hello, session)
            async with aclosing(self._talk(event, requests, outbox)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._engine.close_session(session)

    async def _talk(
        self,
        hello: ev.WorkerConnected,
        requests: AsyncIterator[pb.WorkRequest],
        outbox: Outbox,
    ) -> AsyncGenerator[pb.WorkResponse, None]:
        worker, session = hello.worker, hello.session
        reader = asyncio.create_task(self._read(requests, worker, session, outbox))
        log.info("connected", worker=worker, held=len(hello.held))
        self._engine.post(hello)
        try:
            while not outbox.closed:
                message = await outbox.get(self._alive_seconds)
                if message is None:
                    if not outbox.closed:
                        yield _ALIVE
                    continue
                yield message
                if message.WhichOneof("message") == "halt":
                    self._engine.post(ev.HaltSent(message.halt.nonce, self._engine.now().wall))
            if outbox.overflown:
                raise ResourceExhausted("this worker does not read its stream")
            if reader.done():
                await reader
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reader
            self._engine.post(ev.WorkerGone(worker, session))
            log.info("gone", worker=worker)

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
