"""The two eventfds between a worker and its compute child."""

from __future__ import annotations

import os
import select


class Bell:
    """An eventfd: many rings before a look count as one."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def create(cls) -> Bell:
        return cls(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def ring(self) -> None:
        os.eventfd_write(self.fd, 1)

    def clear(self) -> bool:
        """Take the rings, if any."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return False
        return True

    def wait(self, seconds: float | None) -> bool:
        """Sleep until rung (True; the rings are taken) or the time is up (False)."""
        # select, because poll and epoll count in whole milliseconds.
        ready, _, _ = select.select([self.fd], [], [], seconds)
        return bool(ready) and self.clear()
