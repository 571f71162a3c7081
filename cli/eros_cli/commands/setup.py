"""`eros setup`: prepare this checkout and say what is there."""

from __future__ import annotations

import os
import platform
from importlib.metadata import distributions

import typer
from rich.console import Console

from eros_cli import apertium
from eros_cli.paths import CHECKOUT


def register(app: typer.Typer) -> None:
    @app.command()
    def setup(
        translation: bool = typer.Option(
            True, help="Also bring Apertium, where apt can: as root into the system."
        ),
    ) -> None:
        """Prepare this checkout: packages and generated code. Every command does it.

        And bring Apertium for the assistant's translations, which only this command does.
        """
        # By the time this runs, cli/eros_bootstrap has prepared everything or said why it cannot.
        packages = len({distribution.name for distribution in distributions()})
        console = Console()
        console.print(
            f"Ready: Python {platform.python_version()}, {packages} packages in "
            f"{CHECKOUT / '.venv'}, generated code in {CHECKOUT / 'gen'}.",
            soft_wrap=True,
            highlight=False,
        )
        if translation:
            console.print(apertium.bring(apertium.folder(os.environ)), soft_wrap=True)
        console.print("Next: [bold]./eros --help[/bold]")
