"""`python -m eros_matcher.compute MEMFD INBOX OUTBOX PARENT_PID`: started by a worker only."""

from __future__ import annotations

import os
import sys

from eros_matcher.compute.process import ONE_THREAD, become_compute_child


def main(arguments: list[str]) -> None:
    memory, inbox, outbox, parent_pid = map(int, arguments)
    become_compute_child(parent_pid)
    os.environ.update(ONE_THREAD)

    # Only now: NumPy reads the environment when it is imported. Every program needs it, so it is
    # imported before there is a batch that would have to wait.
    import numpy  # noqa: F401, ICN001

    from eros_matcher.compute.bells import Bell
    from eros_matcher.compute.child import ComputeChild
    from eros_matcher.compute.layout import Word
    from eros_matcher.compute.region import ChildRegion

    region = ChildRegion(memory)
    region.publish(Word.PID, os.getpid())
    ComputeChild(region, Bell(inbox), Bell(outbox)).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
