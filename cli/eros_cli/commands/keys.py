"""`eros keys`: make and change a deployment's keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="Where the keys are kept; nobody else may read it.")]


def register(app: typer.Typer) -> None:
    keys = typer.Typer(help="Keys of a deployment.", no_args_is_help=True)
    app.add_typer(keys, name="keys")

    @keys.command()
    def make(folder: Folder) -> None:
        """Make every key that is missing."""
        from eros_cli.operations.keyset import make_keys

        _tell(make_keys(folder))

    @keys.command()
    def rotate(folder: Folder) -> None:
        """Add a signing key for tokens; take the old one away 15 minutes after this one signs."""
        from eros_cli.operations.keyset import add_signing_key

        _tell([add_signing_key(folder)])

    @keys.command()
    def renew(folder: Folder, service: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
        """Give a service another key while all goes on, in two steps: call it twice."""
        from eros_cli.operations.keyset import renew_service_key

        written = renew_service_key(folder, service)
        _tell(written)
        if any(path.name == f"{service}.next.pem" for path in written):
            print(
                "Next: put services/jwks.json where every service reads it (eros-jwks), wait until"
                " it is there (two minutes), and call this again."
            )
        else:
            print(
                f"Next: put services/{service}.pem where {service} reads it (eros-key-{service}),"
                f" restart {service}, delete services/{service}.old.pem and `eros keys make`."
            )


def _tell(paths: Sequence[Path]) -> None:
    print("\n".join(f"wrote {path}" for path in paths) or "nothing was missing")
