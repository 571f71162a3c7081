"""The CLI's root: which commands there are, in the order a newcomer meets them."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from eros_cli.commands import (
    admin,
    backup,
    bench,
    check,
    doctor,
    evaluate,
    import_people,
    jobs,
    keys,
    release,
    run,
    setup,
    simulate,
    soak,
    test,
    up,
)
from eros_cli.mesh.faults import MeshError

app = typer.Typer(
    name="eros",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _root() -> None:
    """EROS, the backend of a dating app that works while its users sleep."""


for command in (
    *(run, up, import_people, admin, jobs, doctor, backup, keys, release, soak),
    *(simulate, bench, evaluate, setup, test, check),
):
    command.register(app)


def main() -> None:
    """Runs the command of `sys.argv`; faults that a person can act on are one line, exit code 1."""
    try:
        app(prog_name="./eros")
    except MeshError as error:
        _fail(str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            _fail(f"{error.filename}: {error.strerror}")
        # Imported only here: commands that call no service should not wait for gRPC.
        from grpc.aio import AioRpcError

        from eros_common.postgres import DatabaseUnreachable

        if isinstance(error, AioRpcError):
            _fail(error.details() or error.code().name)
        if isinstance(error, DatabaseUnreachable):
            _fail(str(error))
        raise


def _fail(message: str) -> NoReturn:
    print(f"eros: {message}", file=sys.stderr)
    sys.exit(1)
