"""Where the night is shown: redrawn on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from eros.scheduler.v1 import scheduler_pb2
from eros_cli.demo.display import one_line, render
from eros_cli.demo.sleepers import Span

_LINE_SECONDS = 5.0


class Screen:
    """Shows overviews while it is entered; what `note` is given stays visible."""

    def __init__(self, console: Console, people: int, span: Span) -> None:
        self._console = console
        self._people = people
        self._span = span
        self._notes: list[str] = []
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_line = 0.0

    def show(self, overview: scheduler_pb2.GetOverviewResponse) -> None:
        """Draws the picture, or prints a line if the last one is some seconds old."""
        if self._live is not None:
            picture = render(overview, self._people, self._span, self._notes)
            self._live.update(picture, refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_SECONDS
            self._print(one_line(overview))

    def note(self, markup: str) -> None:
        """Adds a line of rich markup."""
        self._notes.append(markup)
        if self._live is None:
            self._print(markup)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _print(self, markup: str) -> None:
        self._console.print(Text.from_markup(markup), soft_wrap=True)
