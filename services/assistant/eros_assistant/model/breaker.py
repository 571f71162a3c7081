"""A circuit breaker: what failed again and again is left alone for a while. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Breaker:
    """Opens after `failures` in a row for `rest_seconds`; then one call may try."""

    monotonic: Callable[[], float]
    failures: int = 3
    rest_seconds: float = 30.0
    _failed: int = field(default=0, init=False)
    _closed_again_at: float = field(default=0.0, init=False)

    @property
    def resting(self) -> bool:
        """Whether nobody may call now, not even to try."""
        return self._failed >= self.failures and self.monotonic() < self._closed_again_at

    def may_call(self) -> bool:
        """Whether to call now. Who may while it is open is the one that tries."""
        if self.resting:
            return False
        if self._failed >= self.failures:
            self._closed_again_at = self.monotonic() + self.rest_seconds
        return True

    def succeeded(self) -> None:
        self._failed = 0

    def failed(self) -> None:
        self._failed += 1
        if self._failed >= self.failures:
            self._closed_again_at = self.monotonic() + self.rest_seconds
