"""Processes that others go before, whatever session they are in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eros_matcher import apart
from eros_matcher.work.__main__ import NICE

_BATCH_PROCESS = """
import os, sys
from pathlib import Path
from eros_matcher.work.__main__ import _become_batch_process
_become_batch_process(os.getppid())
print(os.getsid(0) == os.getpid(), os.sched_getscheduler(0) == os.SCHED_BATCH)
print(Path("/proc/self/autogroup").read_text())
"""


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this Linux shares nothing out among sessions"
)
def test_the_batch_process_has_a_session_of_its_own_that_others_go_before() -> None:
    said = subprocess.run(
        [sys.executable, "-c", _BATCH_PROCESS], capture_output=True, text=True, check=True
    ).stdout
    assert said.split()[:2] == ["True", "True"]
    assert said.split()[-1] == str(NICE)


def test_a_process_that_is_gone_is_given_nothing() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert apart.share(gone.pid, NICE)
    assert os.getsid(0) != gone.pid
