"""`eros check`: style, types, who imports whom, and the contracts."""

from __future__ import annotations

import typer
from rich.console import Console

from eros_cli.checks import run_checks


def register(app: typer.Typer) -> None:
    @app.command()
    def check() -> None:
        """Check everything that needs no running server: style, types, imports, contracts.

        ruff, mypy --strict, import contracts, buf lint, buf format, and buf breaking against the
        last commit on main.
        """
        if not run_checks(Console()):
            raise typer.Exit(1)
