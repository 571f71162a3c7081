"""How long something may take that is promised within a time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

_AT_MOST = 0.1


async def within_a_second(so: Callable[[], Awaitable[bool]]) -> None:
    """Asks until it is so; fails after a second.

    Of that second each question takes a tenth at most: a machine that is busy with something else
    slows down the one who asks as much as the one who is asked.
    """
    left = 1.0
    while True:
        began = time.monotonic()
        if await so():
            return
        left -= min(time.monotonic() - began, _AT_MOST)
        assert left > 0, "not within a second"
