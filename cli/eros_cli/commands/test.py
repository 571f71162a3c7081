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
        Without any, two processes share the files.
        """
        # A file is one process's: what its tests share is set up once. In the order of
        # tests/conftest.py: by itself xdist begins with the files that have the most tests.
        shared = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
        arguments = context.args or shared
        os.chdir(CHECKOUT)
        os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
