"""`eros import`: real people from other sources."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_FILE = typer.Argument(
    exists=True, dir_okay=False, readable=True, help="okcupid_profiles.csv.zip, or the CSV in it."
)


def register(app: typer.Typer) -> None:
    importing = typer.Typer(help="Bring in people from another source.", no_args_is_help=True)
    app.add_typer(importing, name="import")

    @importing.callback()
    def _importing() -> None:
        """Bring in people from another source."""

    @importing.command()
    def okcupid(
        file: Annotated[Path, _FILE],
    ) -> None:
        """Load the 59,946 public OkCupid profiles (San Francisco area).

        Into the EROS that runs here, or one that is started for it. What the file lacks and EROS
        needs is drawn by a seeded generator, and said. Nobody gets a password. Repeating it
        changes nothing (on a later day, only when people were last seen).
        """
        from eros_cli.population.bring import bring_okcupid
        from eros_cli.population.okcupid import UnreadableFileError

        try:
            asyncio.run(bring_okcupid(Console(), file))
        except UnreadableFileError as error:
            raise typer.BadParameter(str(error), param_hint="FILE") from None
