"""`eros simulate`: a night in fast motion, on the real cores."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

_START = typer.Option(
    "2026-10-24T18:00:00", help="When it begins, UTC; the default has a change of clocks."
)
_OUT = typer.Option("simulation", help="A folder for night.png and night.html.")


def register(app: typer.Typer) -> None:
    @app.command()
    def simulate(
        users: int = typer.Option(100_000, min=1, max=2_000_000, help="How many people there are."),
        hours: float = typer.Option(12.0, min=0.1, max=168.0, help="How long, in simulated time."),
        seed: int = typer.Option(1, help="The same seed, the same night, event by event."),
        faults: float = typer.Option(1.0, min=0.0, max=100.0, help="How often things break."),
        start: datetime = _START,
        workers: int = typer.Option(0, min=0, max=200, help="0: as many as the people need."),
        follow: int | None = typer.Option(None, help="Show all events of one person, by number."),
        out: Path = _OUT,
        as_json: bool = typer.Option(False, "--json", help="End with one line of JSON."),
    ) -> None:
        """Simulate a night of many people in about a minute, and judge every step of it.

        Scheduler and worker are the real ones, down to what decides; database, network, clocks and
        people are simulated, and fail. Ends with status 1 if a rule was violated.
        """
        from eros_cli.simulation.draw import draw
        from eros_cli.simulation.options import Options
        from eros_cli.simulation.report import show
        from eros_cli.simulation.run import simulate as run

        options = Options(
            users=users,
            hours=hours,
            seed=seed,
            faults=faults,
            start=start if start.tzinfo else start.replace(tzinfo=UTC),
            workers=workers,
            follow=follow,
        )
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise typer.BadParameter(f"cannot write there: {error}", param_hint="--out") from None
        console = Console(stderr=as_json)
        with console.status(f"simulating {hours:g} hours of {users:,} people"):
            found = run(options)
        show(console, found)
        png, page = draw(found, out)
        console.print(f"{png}\n{page}", highlight=False, soft_wrap=True)
        if as_json:
            print(json.dumps(found.json()))
        if found.violations:
            raise typer.Exit(1)
