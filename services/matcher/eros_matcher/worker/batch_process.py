"""The handle on the batch process: what is done for a batch and is no halt.

Preparing 250 people's input and keeping their results takes a second of CPU for every three of
computing. On the loop, and at the priority, that halts wait for, it was what most of the slowest
halts had waited for (docs/adr/0311). So it is a process of its own, and one that others go before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation

from eros_common import logging, telemetry
from eros_matcher.worker import messages as say
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.ports import BatchFailedError, Settlement
from eros_matcher.worker.store_fence import StoreUnavailableError

log = logging.get("worker.batch_process")

MODULE: Final = "eros_matcher.work"
CLOSE_SECONDS: Final = 3.0
PING_SECONDS: Final = 10.0
PINGS_MOST: Final = 6
"""So many in a row that are not answered while it is asked for something: it is frozen or hangs.
Counted, not timed: a machine that slept has lost one."""
_GONE: Final = "the batch process is gone"

_Answered = asyncio.Future[PreparedBatch | Settlement]


class BatchProcessGoneError(Exception):
    """The batch process ended, or could not start; it has said why, unless it was killed."""


class BatchProcess:
    """`eros_matcher.worker.ports.Batches`. `run` in the background; its end is the worker's.
    Whoever asks then is told that the store is away, so that the worker gives back whom it has.

    `on_learned` is told of a model that was stored.
    """

    def __init__(
        self,
        on_learned: Callable[[say.Learned], None],
        *,
        module: str = MODULE,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        self._on_learned = on_learned
        self._module = module
        self._ping_seconds = ping_seconds
        self._heard = 0
        self._numbers = count(1)
        self._asked: dict[int, _Answered] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._line: say.Line | None = None
        self._ready = asyncio.Event()
        self._gone = False
        # What Prometheus's client tells of a process is told of the worker's own alone.
        telemetry.meter().create_observable_gauge(
            "eros.worker.batches.memory",
            callbacks=[self._measured],
            unit="By",
            description="Memory that the worker's batch process has resident",
        )

    async def start(self) -> None:
        """On the main thread: the process dies with the thread that started it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - once, before anybody waits
                [
                    *(sys.executable, "-P", "-m", self._module),
                    *map(str, (theirs.fileno(), os.getpid())),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)},
            )
        self._line = await say.Line.over(ours)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ready(self) -> None:
        """Until batches can be given to it. `run` raises where that never comes."""
        await self._ready.wait()

    async def run(self) -> None:
        """For ever: take what it says. Raises BatchProcessGoneError."""
        assert self._line is not None
        watching = asyncio.create_task(self._watch(self._line))
        try:
            while (message := await self._line.receive()) is not None:
                self._heard += 1
                self._hear(message)
        finally:
            watching.cancel()
            self._gone = True
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(StoreUnavailableError(_GONE))
        raise BatchProcessGoneError(f"{_GONE} (pid {self.pid})")

    async def _watch(self, line: say.Line) -> None:
        """Kill it where it hangs: nobody else would notice, and leases are renewed meanwhile."""
        await self._ready.wait()
        missed = 0
        while missed < PINGS_MOST:
            heard, asked = self._heard, bool(self._asked)
            if asked:
                line.send(say.Ping())
            await asyncio.sleep(self._ping_seconds)
            missed = missed + 1 if asked and self._heard == heard else 0
        log.error("hangs", pid=self.pid)
        os.kill(self.pid, signal.SIGKILL)

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        number = next(self._numbers)
        prepared = await self._ask(number, say.Prepare(number, batch))
        assert isinstance(prepared, PreparedBatch)
        return prepared

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
    ) -> Settlement:
        number = next(self._numbers)
        settled = await self._ask(number, say.Settle(number, kind, results, failures))
        assert isinstance(settled, Settlement)
        return settled

    async def close(self) -> None:
        """It fills caches that it is at, for a moment, and ends; or it is killed."""
        if self._line is not None:
            self._line.close()
        process = self._process
        if process is None:
            return
        ended = asyncio.create_task(asyncio.to_thread(process.wait))
        done, _ = await asyncio.wait({ended}, timeout=CLOSE_SECONDS)
        if not done:
            log.warning("close_slow", pid=process.pid)
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        await ended

    async def _ask(self, number: int, request: say.Request) -> PreparedBatch | Settlement:
        assert self._line is not None
        if self._gone:
            raise StoreUnavailableError(_GONE)
        future: _Answered = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            self._line.send(request)
            return await future
        except asyncio.CancelledError:
            self._line.send(say.Cancel(number))
            raise
        finally:
            del self._asked[number]

    def _measured(self, _: CallbackOptions) -> Iterable[Observation]:
        if self._process is None:
            return []
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except OSError:  # it is gone
            return []
        return [Observation(pages * os.sysconf("SC_PAGE_SIZE"))]

    def _hear(self, message: say.Request | say.Reply) -> None:
        match message:
            case say.Ready():
                self._ready.set()
            case say.Answer(number, value):
                if (future := self._asked.get(number)) and not future.done():
                    future.set_result(value)
            case say.Failed(number, text, unavailable):
                if (future := self._asked.get(number)) and not future.done():
                    error = StoreUnavailableError(text) if unavailable else BatchFailedError(text)
                    future.set_exception(error)
            case say.Learned():
                self._on_learned(message)
            case say.Pong():
                """Heard; that is all."""
            case say.Prepare() | say.Settle() | say.Cancel() | say.Ping():
                raise TypeError(f"the batch process asks: {type(message).__name__}")
