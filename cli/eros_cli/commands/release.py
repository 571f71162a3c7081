"""`eros release`: what was pushed is what production runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eros_cli.paths import CHECKOUT


def register(app: typer.Typer) -> None:
    @app.command()
    def release(
        folder: Annotated[
            Path, typer.Argument(help="Of the builds' metadata files, one an image: NAME.json.")
        ],
        overlay: Annotated[Path, typer.Option(help="The kustomization to write into.")] = CHECKOUT
        / "k8s/overlays/production/kustomization.yaml",
    ) -> None:
        """Write the digests of pushed images into the production overlay; all of them or none."""
        from eros_cli.operations.release import images_of, read_pushed, write_digests

        pushed = read_pushed(folder, images_of(overlay))
        write_digests(overlay, pushed)
        print("\n".join(f"{name} {one.repository}@{one.digest}" for name, one in pushed.items()))
