"""Read-only input files, kept mapped from batch to batch."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from pathlib import Path

_KEPT = 8


class MappedFiles:
    """The files mapped last, by path and inode: a batch over the same snapshot maps nothing."""

    def __init__(self) -> None:
        self._maps: OrderedDict[tuple[Path, int, int], mmap.mmap] = OrderedDict()

    def view(self, path: Path) -> memoryview:
        """The whole file, read-only. Raises OSError; ValueError for an empty file."""
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            key = (path, stat.st_dev, stat.st_ino)
            mapped = self._maps.get(key)
            if mapped is None:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._maps[key] = mapped
        self._maps.move_to_end(key)
        while len(self._maps) > _KEPT:
            # Unmapped when the last view of it is gone.
            self._maps.popitem(last=False)
        return memoryview(mapped)
