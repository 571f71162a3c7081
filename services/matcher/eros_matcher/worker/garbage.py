"""Collecting garbage when nobody can be kept waiting by it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

REST_SECONDS: Final = 10.0
_NEVER: Final = 1_000_000_000


class QuietCollector:
    """A worker makes garbage by the batch, and a full collection stops everything for
    milliseconds. Left to itself it comes in the middle of a batch, and a halt has to wait for it.
    Between two batches nobody is worked on, so nobody can be halted: that is when it is done.

    Young garbage, which is most of it, is collected as ever.
    """

    def __init__(
        self,
        *,
        collect: Callable[[], object] = gc.collect,
        monotonic: Callable[[], float] = time.monotonic,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._collect = collect
        self._monotonic = monotonic
        self._rest = rest_seconds
        self._last = monotonic()

    def begin(self) -> None:
        """From now on the interpreter does no full collection of its own accord."""
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)

    def between_batches(self) -> None:
        """Nothing is in hand: collect, if the last time is long enough ago."""
        now = self._monotonic()
        if now - self._last >= self._rest:
            self._last = now
            self._collect()
