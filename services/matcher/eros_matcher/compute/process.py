"""What makes a process a compute child: idle scheduling, death with its parent, one BLAS thread."""

from __future__ import annotations

import ctypes
import os
import signal

from eros_matcher.apart import live_apart

_PR_SET_PDEATHSIG = 1

SESSION_NICE = 10
"""A ninth of an ordinary session's share where cores are busy. Not less: it has to end its chunk
before halted people are out of it."""

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
"""Read by the BLAS libraries when NumPy is first imported."""


class OrphanError(Exception):
    """The parent died before the child could bind its life to it."""


def become_compute_child(parent_pid: int) -> None:
    """Run when nobody else wants the CPU; die with the parent. Raises OrphanError, OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        raise OrphanError
    live_apart(SESSION_NICE)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # The terminal's Ctrl-C and the supervisor's SIGTERM are the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
