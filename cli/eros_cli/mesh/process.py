"""One running program: start, wait until it serves, stop, and the end of its log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from eros_cli.mesh import launcher
from eros_cli.mesh.faults import ProgramFailed
from eros_cli.mesh.processes import ProcessId
from eros_cli.mesh.program import Program

_TAIL_LINES = 12
_TAIL_COLUMNS = 300
_TAIL_BYTES = 16 * 1024


class Process:
    """A program started once; its log goes to a file, its life is bound to this process.

    Must be started from a thread that lives as long as it should: the kernel counts the death of
    the starting thread as the parent's death.
    """

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self._process: asyncio.subprocess.Process | None = None
        self._id: ProcessId | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.program.name} was not started"
        return self._process.pid

    @property
    def id(self) -> ProcessId | None:
        """Pid and start time, for the state file; None once it has ended."""
        return self._id

    @property
    def has_ended(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def start(self) -> None:
        program = self.program
        account = program.account
        uid, gid = (account.uid, account.gid) if account else (-1, -1)
        words = [os.getpid(), int(program.death_signal), uid, gid, "--", *program.command]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-I", "-S", launcher.__file__],
                *map(str, words),
                env=dict(program.environment),
                cwd=program.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C on the terminal is for the supervisor, which stops in the right order.
                start_new_session=True,
            )
        self._id = ProcessId.of(self._process.pid)

    async def until_ready(self) -> None:
        """Raises ProgramFailed, with the end of the log, if it ends or is not ready in time."""
        ready = asyncio.ensure_future(self.program.ready())
        ended = asyncio.ensure_future(self.until_ended())
        try:
            await asyncio.wait(
                [ready, ended],
                timeout=self.program.ready_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if ready.done():
                await ready
                return
            if ended.done():
                raise ProgramFailed(self._fault(f"ended at once ({describe_exit(ended.result())})"))
            seconds = self.program.ready_seconds
            raise ProgramFailed(self._fault(f"was not ready after {seconds:.0f} s"))
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    async def until_ended(self) -> int:
        """The exit status; negative: the signal that killed it."""
        assert self._process is not None
        status = await self._process.wait()
        self._id = None
        return status

    async def stop(self) -> None:
        """Ask it to stop; kill it if it has not after `stop_seconds`."""
        if self._process is None or self.has_ended:
            return
        self.signal(self.program.stop_signal)
        # A frozen process hears nothing.
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(self.program.stop_seconds):
                await self.until_ended()
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.until_ended()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def tail(self) -> Sequence[str]:
        """The last lines of its log."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
            return [line[:_TAIL_COLUMNS] for line in lines]
        return ()

    def _fault(self, what: str) -> str:
        return with_log(f"{self.program.name} {what}", self.log, self.tail())


def describe_exit(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit code {status}"


def with_log(message: str, log: Path, lines: Sequence[str]) -> str:
    """The message, where the whole log is, and its last lines."""
    quoted = "".join(f"\n    {line}" for line in lines)
    return f"{message}; its log is {log}{', the last lines:' if lines else ''}{quoted}"
