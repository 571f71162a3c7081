"""What waits to be written to one worker."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from eros.scheduler.v1 import work_pb2 as pb

MOST = 1000
"""A worker that leaves so many messages unread is given up."""


class Outbox:
    """Bounded; `put` never waits."""

    def __init__(self) -> None:
        self._messages: deque[pb.WorkResponse] = deque()
        self._some = asyncio.Event()
        self.overflown = False
        self.closed = False

    def put(self, message: pb.WorkResponse) -> None:
        if len(self._messages) >= MOST:
            self.overflown = True
            self.close()
        elif not self.closed:
            self._messages.append(message)
            self._some.set()

    def close(self) -> None:
        """Nothing more comes; what waits is dropped."""
        self.closed = True
        self._messages.clear()
        self._some.set()

    async def get(self, seconds: float) -> pb.WorkResponse | None:
        """The next message; None when none came in time, or when closed."""
        if not self._some.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._some.wait()
        if not self._messages:
            return None
        message = self._messages.popleft()
        if not self._messages and not self.closed:
            self._some.clear()
        return message
