"""Shows on the terminal what a mesh is doing while it starts, runs and stops."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from eros_cli.mesh.events import EventKind, MeshEvent


class ConsoleReport:
    """A `Reporter`: one line a fact, the ones that only say "I began" on a terminal's last line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._busy: dict[str, None] = {}
        self._status = console.status("", spinner="dots")

    def __call__(self, event: MeshEvent) -> None:
        try:
            self._show(event)
        except OSError:
            # The terminal is gone; stopping in good order matters more than saying so.
            self._console.quiet = True

    def _show(self, event: MeshEvent) -> None:
        match event.kind:
            case EventKind.STARTING | EventKind.STOPPING:
                self._busy[event.name] = None
            case EventKind.READY | EventKind.STOPPED:
                self._busy.pop(event.name, None)
                self._line("[green]✓[/green]", event.message)
            case EventKind.ENDED:
                self._busy.pop(event.name, None)
                self._line("[red]✗[/red]", event.message)
            case EventKind.NOTE:
                self._line("[green]✓[/green]", event.message)
        self._spin(event.kind)

    def _line(self, sign: str, message: str) -> None:
        self._console.print(f"{sign} {escape(message)}", highlight=False, soft_wrap=True)

    def _spin(self, kind: EventKind) -> None:
        if not self._busy:
            self._status.stop()
            return
        verb = "stopping" if kind in (EventKind.STOPPING, EventKind.STOPPED) else "starting"
        self._status.update(f"{verb} {', '.join(self._busy)}")
        self._status.start()
