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
        """Run the tests: units, stores, real servers, and the whole mesh over HTTP.

        All arguments go to pytest, for example: ./eros test tests/unit -k phases
        Without any, two processes share the tests.
        """
        arguments = context.args or ["-n", "2", "--dist", "loadgroup"]
        os.chdir(CHECKOUT)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
