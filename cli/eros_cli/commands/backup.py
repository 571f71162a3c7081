"""`eros backup` and `eros restore`: the database into one file and back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="The file; it holds everything, keep it safe.")]


def register(app: typer.Typer) -> None:
    @app.command()
    def backup(file: File) -> None:
        """Write the database to a file, while everything goes on."""
        from eros_cli.operations.backup import back_up

        size = asyncio.run(back_up(_database_url(), file))
        print(f"wrote {file}, {size / 1e6:.1f} MB")

    @app.command()
    def restore(file: File) -> None:
        """Fill an empty database (DATABASE_URL) from a file."""
        from eros_cli.operations import backup

        asyncio.run(backup.restore(_database_url(), file))
        print("restored; ./eros up brings it up to date")


def _database_url() -> str:
    from eros_cli.operator import running_environment

    return os.environ.get("DATABASE_URL") or running_environment()["DATABASE_URL"]
