"""What the disk takes to keep something for good: no save can be faster than that."""

from __future__ import annotations

import os
import tempfile
import time
from typing import Final

_PAGE: Final = bytes(8192)
_PAGES: Final = 2048
_PAUSE_SECONDS: Final = 0.005


def syncs(count: int) -> list[float]:
    """Milliseconds of so many writes of 8 KB into a file that has its size already, as the log of
    a database is written; some milliseconds apart."""
    taken: list[float] = []
    with tempfile.TemporaryFile(prefix="eros-disk-") as file:
        handle = file.fileno()
        os.pwrite(handle, _PAGE * _PAGES, 0)
        os.fsync(handle)
        for number in range(count):
            time.sleep(_PAUSE_SECONDS)
            began = time.perf_counter()
            os.pwrite(handle, _PAGE, number % _PAGES * len(_PAGE))
            os.fdatasync(handle)
            taken.append((time.perf_counter() - began) * 1000)
    return taken
