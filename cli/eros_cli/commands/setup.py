"""`eros setup`: prepare this checkout and say what is there."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

import typer
from rich.console import Console

from eros_cli.paths import CHECKOUT


def register(app: typer.Typer) -> None:
    @app.command()
    def setup() -> None:
        """Prepare this checkout: packages and generated code. Every command does it."""
        # By the time this runs, cli/eros_bootstrap has prepared everything or said why it cannot.
        packages = len({distribution.name for distribution in distributions()})
        console = Console()
        console.print(
            f"Ready: Python {platform.python_version()}, {packages} packages in "
            f"{CHECKOUT / '.venv'}, generated code in {CHECKOUT / 'gen'}.",
            soft_wrap=True,
            highlight=False,
        )
        console.print("Next: [bold]./eros --help[/bold]")
