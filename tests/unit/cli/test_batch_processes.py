"""A worker's batch process is found among what the worker started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from eros_cli.mesh.processes import batch_processes, signal_worker
from eros_matcher.worker.batch_process import MODULE

_WAIT = "import sys; sys.stdin.read()"


def test_only_the_batch_process_is_found_and_only_while_it_lives() -> None:
    commands = ([sys.executable, "-c", _WAIT, *arguments] for arguments in ((MODULE,), ("other",)))
    batches, other = (subprocess.Popen(each, stdin=subprocess.PIPE) for each in commands)
    try:
        assert batch_processes(os.getpid()) == [batches.pid]
        assert batch_processes(other.pid) == []
    finally:
        for process in (batches, other):
            process.communicate()
    assert batch_processes(os.getpid()) == []
    assert batch_processes(other.pid) == []


def test_a_worker_is_frozen_with_what_it_has_apart() -> None:
    begin = "import os, subprocess, sys; os.setsid(); "
    child = f"{begin}print(os.getpid(), flush=True); {_WAIT}"
    parent = f"{begin}subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        apart = int(worker.stdout.readline())
        signal_worker(worker.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
        state = Path(f"/proc/{apart}/stat")
        while state.read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.001)
        signal_worker(worker.pid, signal.SIGCONT)
        worker.communicate()
    assert worker.returncode == 0
