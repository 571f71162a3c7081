"""A share of the cores of its own for a process that others go before.

Linux divides cores among sessions first where it groups processes by session (`sched_autogroup`,
usual on a server's or a developer's own Linux, without effect inside a container): a policy or a
nice value counts only against the rest of the same session. A worker's idle-class child then took
as much of a core as the database did, and what a halt waits for waited for it (docs/adr/0311).
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Final

_TRIES: Final = 10
_AGAIN_SECONDS: Final = 0.11


def live_apart(nice: int) -> None:
    """Gives the calling process a session of its own, with the share of this nice value."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    for _ in range(_TRIES):
        if share(os.getpid(), nice):
            return
        time.sleep(_AGAIN_SECONDS)


def share(pid: int, nice: int) -> bool:
    """Gives the session of a process the share of this nice value; false: to be tried again, as
    Linux changes one session in 0.1 s. Where sessions have no shares, nothing is done."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))
    except OSError as error:
        return error.errno != errno.EAGAIN
    return True
