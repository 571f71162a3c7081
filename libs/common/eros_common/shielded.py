"""Work that is finished once begun, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from eros_common import logging

log = logging.get("shielded")

T = TypeVar("T")


class Shield:
    """Runs what must not stop half-way: between a commit and what must follow it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result. If the caller is cancelled, the work goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_tell)
            raise

    async def settle(self) -> None:
        """Waits for everything that still runs."""
        await asyncio.gather(*self._running, return_exceptions=True)


def _tell(task: asyncio.Task[Any]) -> None:
    """Nobody else will look at the error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("failed_unattended", error=repr(error))
