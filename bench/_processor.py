"""Who took the processors while something was measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Taken:
    """Filled in when the block is over."""

    foreign_pct: float = 0.0
    """Of all cores, by whoever is no descendant of this process."""
    own_pct: float = 0.0
    """Of one core, by this process itself."""


@contextmanager
def taking() -> Iterator[Taken]:
    """What is taken from here to the end of the block. A process that began and ended in between
    counts where its parent waited for it."""
    taken = Taken()
    began, own = time.monotonic(), time.process_time()
    busy, family = _busy_seconds(), _family_seconds()
    yield taken
    wall = time.monotonic() - began
    others = _busy_seconds() - busy - (_family_seconds() - family)
    taken.foreign_pct = round(max(0.0, others) / wall / (os.cpu_count() or 1) * 100, 1)
    taken.own_pct = round((time.process_time() - own) / wall * 100, 1)


def _busy_seconds() -> float:
    """CPU time that anybody took since the machine started, stolen time included."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _wait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _family_seconds() -> float:
    """CPU time of this process and all that descend from it, the dead included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    this = os.getpid()

    def ours(pid: int) -> bool:
        while pid > 1:
            if pid == this:
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(count for pid, count in ticks.items() if ours(pid)) / os.sysconf("SC_CLK_TCK")
