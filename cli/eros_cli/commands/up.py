"""`eros up`: serve, nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import typer
from rich.console import Console

from eros_cli.interrupts import Interrupted, run_stoppable
from eros_cli.report import ConsoleReport

# The mesh and with it gRPC are imported when they are used: `./eros --help` is quick.


def register(app: typer.Typer) -> None:
    @app.command()
    def up() -> None:
        """Start everything and serve until Ctrl-C.

        PostgreSQL and Valkey are started too, unless DATABASE_URL and REDIS_URL name others. The
        gateway listens on EROS_GATEWAY_LISTEN (127.0.0.1:3000); data is kept in EROS_DATA_DIR;
        EROS_WORKERS is the number of night workers (one a core).
        """
        try:
            run_stoppable(_serve(Console()))
        except Interrupted:
            # What `up` is for: it serves until it is told to stop.
            return


async def _serve(console: Console) -> None:
    from eros_cli.mesh.data_dir import DataDir
    from eros_cli.mesh.mesh import Mesh
    from eros_cli.mesh.options import MeshOptions
    from eros_cli.night_clock import kept_clock

    data = DataDir.default(os.environ)
    # Whoever names a night clock has it; else it goes on from where it was.
    named = {name: value for name, value in os.environ.items() if name.startswith("EROS_NIGHT_")}
    night = None if named else kept_clock(data, datetime.now(UTC))
    options = MeshOptions(data_dir=data.root, fixed_ports=True, night=night, settings=named)
    async with Mesh(options, ConsoleReport(console)) as mesh:
        console.print(
            f"\nEROS serves at [bold]{mesh.url}/api/v1[/bold]  (logs in {mesh.data.logs}; "
            "Ctrl-C stops it)",
            highlight=False,
            soft_wrap=True,
        )
        await mesh.wait()
