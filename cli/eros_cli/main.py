"""The CLI's root: which commands there are, in the order a newcomer meets them."""

from __future__ import annotations

import typer

from eros_cli.commands import setup

app = typer.Typer(
    name="eros",
    help="EROS, the backend of a dating app that works while its users sleep.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _root() -> None:
    """EROS, the backend of a dating app that works while its users sleep."""


for command in (setup,):
    command.register(app)


def main() -> None:
    app(prog_name="./eros")
