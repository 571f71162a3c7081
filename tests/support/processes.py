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
