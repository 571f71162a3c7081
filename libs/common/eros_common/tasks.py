"""Tasks that run beside the requests: supervised ones, and batching."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from eros_common import logging

log = logging.get("tasks")

T = TypeVar("T")

_CANCEL_AGAIN_SECONDS = 0.2
BREATH_SECONDS = 0.002


class BackgroundFailed(Exception):
    """A background task ended; its error, if it raised one, is the cause."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the background task {name} ended")
        self.name = name


def obey_cancel() -> None:
    """Raises ``CancelledError`` where this task was cancelled and something it awaited kept that to
    itself, as until Python 3.12 ``asyncio.wait_for`` may, which redis-py sends with."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Supervisor:
    """Runs tasks that must run for ever. The first that ends or raises is the failure."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()
        self._stopping = False
        self.failure: BackgroundFailed | None = None

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(self._watch(name, run), name=name))

    async def failed(self) -> BackgroundFailed:
        """Waits until a task ended."""
        await self._ended.wait()
        assert self.failure is not None
        return self.failure

    async def stop(self) -> None:
        """Cancels all tasks, the last started first, and waits for each."""
        self._stopping = True
        for task in reversed(self._tasks):
            # Until Python 3.12 asyncio.wait_for, which redis-py sends with, may swallow a cancel.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_AGAIN_SECONDS)
        self._tasks.clear()

    async def _watch(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except asyncio.CancelledError:
            if self._stopping:
                raise
            self._fail(name, None)
        except Exception as error:  # noqa: BLE001 - the failure stops the service and is raised there
            self._fail(name, error)
        else:
            self._fail(name, None)

    def _fail(self, name: str, error: Exception | None) -> None:
        log.error("background_ended", task=name, error=repr(error) if error else "returned")
        if self.failure is None:
            self.failure = BackgroundFailed(name)
            self.failure.__cause__ = error
        self._ended.set()


class Breather:
    """For work over many items on a loop that others wait for: ``await breathe()`` after each item
    lets them go first once ``seconds`` have passed since they last could.

    Work that nobody waits for rests for ``rest`` seconds then: an answer that takes a dozen turns
    of the loop would else wait before each of them.
    """

    def __init__(self, seconds: float = BREATH_SECONDS, rest: float = 0.0) -> None:
        self._seconds = seconds
        self._rest = rest
        self._since = time.perf_counter()

    async def breathe(self) -> None:
        if time.perf_counter() - self._since >= self._seconds:
            await asyncio.sleep(self._rest)
            self._since = time.perf_counter()


class Batcher(Generic[T]):
    """Collects items and flushes them by size or time, whichever comes first.

    ``flush`` gets a non-empty batch in order; the next batch starts when it is done. If it raises,
    ``run`` raises (and the service stops): what may fail for a while is the flush's own business.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[T]], Awaitable[None]],
        *,
        max_items: int,
        max_seconds: float,
        max_pending: int | None = None,
    ) -> None:
        self._flush = flush
        self._max_items = max_items
        self._max_seconds = max_seconds
        self._max_pending = max_pending if max_pending is not None else max_items * 20
        self._items: list[T] = []
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Condition()
        self._busy = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: T) -> bool:
        """Takes the item unless the buffer is full."""
        if len(self._items) >= self._max_pending:
            return False
        self._items.append(item)
        self._some.set()
        if len(self._items) >= self._max_items:
            self._full.set()
        return True

    async def put(self, item: T) -> None:
        """Takes the item, after waiting for room where the buffer is full."""
        while not self.offer(item):
            async with self._room:
                await self._room.wait_for(lambda: len(self._items) < self._max_pending)

    async def run(self) -> None:
        """Flushes for ever; a background task."""
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._max_seconds)
            await self.drain()

    async def drain(self) -> None:
        """Flushes what is there now, also while ``run`` is stopping."""
        async with self._busy:
            while self._items:
                batch = self._items[: self._max_items]
                del self._items[: self._max_items]
                if len(self._items) < self._max_items:
                    self._full.clear()
                if not self._items:
                    self._some.clear()
                async with self._room:
                    self._room.notify_all()
                await self._flush(batch)
