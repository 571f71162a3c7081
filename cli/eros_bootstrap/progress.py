"""One line a step on stderr: what is being done, and how long it has taken."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Step:
    """A running step; `detail` may be changed while it runs (shown on a terminal only)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.detail = ""
        self.started_at = time.monotonic()

    def line(self) -> str:
        detail = f" · {self.detail}" if self.detail else ""
        return f"eros: {self.text}{detail} … {time.monotonic() - self.started_at:.1f} s"


class Progress:
    """On a terminal the line is rewritten as time passes; elsewhere begin and end are lines."""

    _REDRAW_SECONDS = 0.2

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        step = Step(text)
        if not self._live:
            self._write(f"eros: {text}\n")
            yield step
            step.detail = ""
            self._write(f"{step.line()}\n")
            return
        finished = threading.Event()
        drawer = threading.Thread(target=self._draw, args=(step, finished), daemon=True)
        drawer.start()
        try:
            yield step
        finally:
            finished.set()
            drawer.join()
            step.detail = ""
            self._write(f"\r\x1b[K{step.line()}\n")

    def say(self, text: str) -> None:
        self._write(f"eros: {text}\n")

    def _draw(self, step: Step, finished: threading.Event) -> None:
        while True:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[K{step.line()[:width]}")
            if finished.wait(self._REDRAW_SECONDS):
                return

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
