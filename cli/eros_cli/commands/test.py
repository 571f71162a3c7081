"""`eros test`: pytest in this checkout."""

from __future__ import annotations

import os
import sys

import typer

from eros_cli.paths import CHECKOUT


def register(app: typer.Typer) -> None:
    @app.command(
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        add_help_option=False,
    )
    def test(context: typer.Context) -> None:
        """Run the tests: unit first, then stores, real servers, and the whole mesh over HTTP.

        All arguments go to pytest, for example: ./eros test tests/unit -k phases
        """
        os.chdir(CHECKOUT)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *context.args])
