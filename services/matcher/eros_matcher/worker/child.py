"""The handle on the compute child: starts it by exec, watches it, kills it, starts it again.

The shared memory outlives the child: a new child opens the batch on offer again, and every row
that is not out goes on from its last snapshot.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from eros_matcher.apart import share
from eros_matcher.compute.bells import Bell
from eros_matcher.compute.layout import Word
from eros_matcher.compute.pacing import overdraft
from eros_matcher.compute.process import ONE_THREAD
from eros_matcher.compute.program import BatchSpec
from eros_matcher.compute.region import ParentRegion

_PASSED = (
    *("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TZ", "PYTHONDONTWRITEBYTECODE"),
    *("OPENBLAS_CORETYPE", "XDG_CACHE_HOME"),
)
"""What the child may know of the environment: nothing secret."""


class ComputeProcess:
    """One compute child at a time. Used from the event loop's thread only.

    `on_ring` is called when rows are out or a batch is closed, `on_death` with the exit status
    (negative: the signal) when the child is gone and reaped. After a death, `start` again.
    """

    def __init__(self, *, on_ring: Callable[[], None], on_death: Callable[[int], None]) -> None:
        self.region = ParentRegion()
        self._inbox = Bell.create()
        self._outbox = Bell.create()
        self._on_ring = on_ring
        self._on_death = on_death
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._buried_cpu = self._seen_cpu = 0.0
        self._cap = 1.0
        self._debt = 0.0
        asyncio.get_running_loop().add_reader(self._outbox.fd, self._rung)

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start a child. On the main thread: the child dies with the thread that started it."""
        if self._process is not None:
            raise RuntimeError("a compute child is alive already")
        self.region.forget_child(time.monotonic_ns(), debt_ns=round(self._debt * 1e9))
        passed = (self.region.fd, self._inbox.fd, self._outbox.fd)
        path = [entry or os.getcwd() for entry in sys.path]
        kept = {name: os.environ[name] for name in _PASSED if name in os.environ}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "eros_matcher.compute"),
                *map(str, (*passed, os.getpid())),
            ],
            pass_fds=passed,
            close_fds=True,
            stdin=subprocess.DEVNULL,
            env=kept | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(path)},
        )
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._died)

    def offer(
        self,
        spec: BatchSpec,
        states: Sequence[bytes | None],
        cap: float,
        *,
        masked: Sequence[int] = (),
    ) -> int:
        """Lay the batch out and wake the child; `masked` rows leave at once.

        Returns the batch's number in the region. Raises ValueError for one beyond the limits.
        """
        number = self.region.offer(spec, states, cap, masked)
        self._cap = cap
        self._inbox.ring()
        return number

    def ring(self) -> None:
        """Make the child look at its masks, should it be waiting."""
        self._inbox.ring()

    def kill(self) -> None:
        """SIGKILL; `on_death` follows when it is gone."""
        if self._process is None:
            return
        # Dying takes CPU too, and an idle process may wait for it behind everybody else.
        share(self._process.pid, 0)
        with suppress(PermissionError, ProcessLookupError):
            os.sched_setscheduler(self._process.pid, os.SCHED_OTHER, os.sched_param(0))
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def cpu_seconds(self) -> float:
        """CPU time of all children so far, the living one read from outside."""
        if self._process is not None:
            # Ended but not reaped yet: then what was seen last is all there is.
            with suppress(OSError):
                self._seen_cpu = self._buried_cpu + process_cpu_seconds(self._process.pid)
        return self._seen_cpu

    async def close(self) -> None:
        """Kill the child, if any, and wait until it is gone. No callback is called."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._outbox.fd)
        if self._process is None:
            return
        gone = asyncio.Event()
        loop.add_reader(self._pidfd, gone.set)
        self.kill()
        await gone.wait()
        self._reap()

    def _rung(self) -> None:
        if self._outbox.clear():
            self._on_ring()

    def _died(self) -> None:
        self._on_death(self._reap())

    def _reap(self) -> int:
        process = self._process
        assert process is not None
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self._process = None
        cpu = usage.ru_utime + usage.ru_stime
        self._buried_cpu += cpu
        self._seen_cpu = self._buried_cpu
        self._debt = self._overdraft(cpu)
        return process.returncode

    def _overdraft(self, cpu: float) -> float:
        """CPU time the dead child took beyond its cap: the next one's opening debt."""
        return overdraft(
            self._cap,
            debt=self.region.word(Word.DEBT_NS) / 1e9,
            unseen=cpu - self.region.word(Word.CPU_NS) / 1e9,
            since=(time.monotonic_ns() - self.region.word(Word.BEAT_NS)) / 1e9,
        )


def process_cpu_seconds(pid: int) -> float:
    """CPU time of another process, by its CPU clock. Raises OSError when it is gone."""
    # The clock id of a process, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime(~pid << 3 | 2)
