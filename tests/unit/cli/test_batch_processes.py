"""A worker's batch process is found among what the worker started."""

from __future__ import annotations

import os
import subprocess
import sys

from eros_cli.mesh.processes import batch_processes
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
