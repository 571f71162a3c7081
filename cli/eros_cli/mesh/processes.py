"""Processes by (pid, start time): whether one is still the one that was meant, and ending it.

A pid alone names whoever has it now; with its start time and the boot it is one process for ever.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Fields after the command's closing bracket; the start time is field 22 of proc(5)'s stat.
_STATE, _START_TIME = 0, 19
_BATCHES = b"eros_matcher.work"


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process; `start_time` in clock ticks since the boot named by `boot`."""

    pid: int
    start_time: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this pid now; None if none has, or only a zombie."""
        fields = _stat(pid)
        if fields is None or fields[_STATE] in ("Z", "X"):
            return None
        return cls(pid, int(fields[_START_TIME]), _BOOT_ID.read_text().strip())

    @classmethod
    def of_this_process(cls) -> ProcessId:
        me = cls.of(os.getpid())
        assert me is not None
        return me

    def is_alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def end(self, stop_signal: signal.Signals, seconds: float) -> None:
        """Ask it to stop, wait for that, kill it if it does not. It need not be a child."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # Checked after the handle was opened: from here on the pid cannot change hands.
            if not self.is_alive():
                return
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, stop_signal)
            if not select.select([handle], [], [], seconds)[0]:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], seconds)
        finally:
            os.close(handle)


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def batch_processes(worker: int) -> list[int]:
    """The pid of a worker's batch process; none before it is started and when it is gone."""
    return [child for child in _children(worker) if _BATCHES in _command(child)]


def signal_worker(worker: int, what: signal.Signals) -> None:
    """To a worker as a whole: its process group, and those that its children have made for
    themselves. Raises ProcessLookupError where it is gone."""
    os.killpg(worker, what)
    for child in _children(worker):
        with suppress(ProcessLookupError):
            if os.getpgid(child) == child:
                os.killpg(child, what)


def _children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task").glob("*/children")
    try:
        return [int(child) for task in tasks for child in task.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it ends
        return []


def _command(pid: int) -> list[bytes]:
    """Nothing of a process that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
