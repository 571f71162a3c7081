"""Keeps one program running: starts it again when it dies, gives up when it keeps dying."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from eros_cli.mesh.events import EventKind, MeshEvent, Reporter
from eros_cli.mesh.faults import MeshError, ProgramFailed
from eros_cli.mesh.process import Process, describe_exit, with_log
from eros_cli.mesh.program import Program

#: A life shorter than this counts towards a crash loop.
_SHORT_LIFE_SECONDS = 10.0
_SHORT_LIVES = 5
_FIRST_DELAY_SECONDS = 0.25


class Keeper:
    """One program of the mesh. `changed` is called whenever its process is another one.

    `serving` is set while it serves; `failed` gets a MeshError when it is not started any more.
    """

    def __init__(
        self,
        make: Callable[[], Program],
        logs: Path,
        report: Reporter,
        changed: Callable[[], None],
        *,
        restart: bool,
    ) -> None:
        self._make = make
        self._logs = logs
        self._report = report
        self._changed = changed
        self._restart = restart
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self.name = make().name
        self.serving = asyncio.Event()
        self.failed: asyncio.Future[MeshError] = asyncio.get_running_loop().create_future()

    @property
    def process(self) -> Process | None:
        """The process now; None before the first start and after a stop."""
        return self._process

    @property
    def log(self) -> Path:
        return self._logs / f"{self.name}.log"

    async def start(self) -> None:
        """Start it and wait until it serves; from then on it is watched. Raises ProgramFailed."""
        self._tell(EventKind.STARTING, f"starting {self.name}")
        started = time.monotonic()
        try:
            await self._launch()
        except BaseException:
            await self.stop()
            raise
        self._tell(EventKind.READY, f"{self.name} is ready ({time.monotonic() - started:.1f} s)")
        self._watch = asyncio.create_task(self._keep_running(), name=f"keep-{self.name}")

    async def stop(self) -> None:
        """Stop watching it and end it; nothing happens if it does not run."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        self.serving.clear()
        if self._process is None:
            return
        has_ended = self._process.has_ended
        if not has_ended:
            self._tell(EventKind.STOPPING, f"stopping {self.name}")
        await self._process.stop()
        self._process = None
        self._changed()
        if not has_ended:
            self._tell(EventKind.STOPPED, f"{self.name} has stopped")

    async def kill(self) -> None:
        """SIGKILL it and wait for its end; it is then started again as after any other death."""
        self.serving.clear()
        if self._process is not None:
            self._process.signal(signal.SIGKILL)
            await self._process.until_ended()

    async def _launch(self) -> None:
        self._process = Process(self._make(), self.log)
        await self._process.start()
        self._changed()
        await self._process.until_ready()
        self.serving.set()

    async def _keep_running(self) -> None:
        short_lives = 0
        while True:
            assert self._process is not None
            born = time.monotonic()
            status = await self._process.until_ended()
            self.serving.clear()
            lived = time.monotonic() - born
            short_lives = short_lives + 1 if lived < _SHORT_LIFE_SECONDS else 0
            ending = with_log(
                f"{self.name} ended ({describe_exit(status)})", self.log, self._process.tail()
            )
            self._tell(EventKind.ENDED, ending)
            if not self._restart:
                self._give_up(ending)
                return
            try:
                short_lives = await self._revive(short_lives)
            except ProgramFailed as fault:
                self._give_up(f"{self.name} keeps ending; {fault}")
                return

    async def _revive(self, short_lives: int) -> int:
        """Start it again, later each time; the count of short lives. Raises when that is many."""
        while True:
            if short_lives >= _SHORT_LIVES:
                assert self._process is not None
                raise ProgramFailed(
                    with_log(f"{short_lives} times in a row", self.log, self._process.tail())
                )
            if short_lives:
                await asyncio.sleep(_FIRST_DELAY_SECONDS * 2**short_lives)
            try:
                await self._launch()
            except Exception as fault:  # noqa: BLE001 - whatever it is, nobody else would hear of it
                short_lives += 1
                said = str(fault) if isinstance(fault, MeshError) else repr(fault)
                self._tell(EventKind.ENDED, f"{self.name} is not started: {said}")
                assert self._process is not None
                await self._process.stop()
            else:
                self._tell(EventKind.READY, f"{self.name} runs again")
                return short_lives

    def _give_up(self, message: str) -> None:
        if not self.failed.done():
            self.failed.set_result(ProgramFailed(message))

    def _tell(self, kind: EventKind, message: str) -> None:
        self._report(MeshEvent(kind, self.name, message))


async def start_all(keepers: Iterable[Keeper]) -> None:
    """At the same time; waits for all of them even when one fails, so that none is half way."""
    await _all(keeper.start() for keeper in keepers)


async def stop_all(keepers: Iterable[Keeper]) -> None:
    """At the same time."""
    await _all(keeper.stop() for keeper in keepers)


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
