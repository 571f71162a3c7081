"""Run as a script between the supervisor and each program it starts; standard library only.

    python -I -S launcher.py PARENT_PID DEATH_SIGNAL UID GID -- PROGRAM [ARGUMENT...]

Gives up root for the account named (-1: stays who it is), binds the program's life to the
supervisor's, and becomes the program; the process id stays the same. A script of its own because
neither step can be done safely in a child forked from a process that runs threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 125
EXIT_CANNOT_START = 126


def main(arguments: list[str]) -> None:
    parent, death_signal, uid, gid = (int(word) for word in arguments[:4])
    command = arguments[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        os.umask(0o077)
    # After the account: the kernel forgets the death signal when credentials change.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The supervisor may have died before the line above.
    if os.getppid() != parent:
        sys.exit(EXIT_ORPHAN)
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_CANNOT_START)


if __name__ == "__main__":
    main(sys.argv[1:])
