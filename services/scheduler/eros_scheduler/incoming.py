"""What one stream of activity brings, one message after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from eros.activity.v1 import activity_pb2 as pb

Message = pb.WatchTransitionsResponse
Call = grpc.aio.UnaryStreamCall[pb.WatchTransitionsRequest, Message]


class Incoming:
    """Messages of `call`; None when it has ended or nothing came for too long. `on_heard`
    is told of each as soon as it is read."""

    def __init__(
        self, call: Call, on_heard: Callable[[Message], None], *, silence_seconds: float
    ) -> None:
        self._call = call
        self._on_heard = on_heard
        self._silence = silence_seconds
        self._reading: asyncio.Task[Message | None] | None = None

    async def next(self) -> Message | None:
        if self._reading is None:
            return await self._read()
        message = await self._reading
        if message is not None:
            self._reading = None
        return message

    async def while_waiting_for(
        self, result: asyncio.Future[Any], take: Callable[[Message], bool]
    ) -> None:
        """Gives what comes until there is a result to `take`, which returns False for what is to
        come once more, from `next`: nothing behind it is taken then, nor behind the end."""
        while not result.done():
            reading = self._read_on()
            # Not given up: to cancel a read is to cancel the call.
            await asyncio.wait({reading, result}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                return
            message = reading.result()
            if message is None or not take(message):
                await asyncio.wait({result})
                return
            self._reading = None

    async def close(self) -> None:
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _read_on(self) -> asyncio.Task[Message | None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> Message | None:
        try:
            async with asyncio.timeout(self._silence):
                message = await self._call.read()
        except TimeoutError:
            return None
        if not isinstance(message, Message):
            return None
        self._on_heard(message)
        return message
