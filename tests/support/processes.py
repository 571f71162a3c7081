"""Processes that tests start and watch by id."""

from __future__ import annotations

import os
import select
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def ends_within(pid: int, seconds: float) -> bool:
    """Whether the process, which need not be our child, has ended by then."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def descendants(pid: int) -> set[int]:
    """Its children, their children, and so on, as they are now."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(folder.name)] = int(text[text.rindex(")") + 2 :].split()[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found |= fresh
    return found
