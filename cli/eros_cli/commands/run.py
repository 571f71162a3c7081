"""`eros run` and `eros night`: one accelerated night, watched."""

from __future__ import annotations

import typer
from rich.console import Console

from eros_cli.interrupts import Interrupted, run_stoppable

_RATE = typer.Option(
    None,
    min=1.0,
    max=3600.0,
    help="Night seconds that pass in one second.",
    show_default="270, slower where many people are to be served",
)
_SEED = typer.Option(1, help="Who goes to bed and wakes when: the same seed, the same night.")


def register(app: typer.Typer) -> None:
    @app.command()
    def run(
        once: bool = typer.Option(False, "--once", help="End after the morning's report."),
        people: int = typer.Option(
            2000, min=100, max=100_000, help="How many people an empty database is given."
        ),
        rate: float | None = _RATE,
        seed: int = _SEED,
    ) -> None:
        """Start everything, play one night, show the morning, then serve.

        An empty database is given demo people (the same ones every time). In the middle of the
        night one sleeping person touches the phone, and you see how soon the work on them stopped.
        Ends with a non-zero status if --once is given and any part failed.
        """
        _play(people=people, rate=rate, seed=seed, serve=not once)

    @app.command()
    def night(
        rate: float | None = _RATE,
        seed: int = _SEED,
        guests: int = typer.Option(
            50, min=0, max=5000, help="How many known people wake in the middle of the night."
        ),
    ) -> None:
        """Play one night over the people who are there, and end."""
        _play(rate=rate, seed=seed, guests=guests, serve=False)


def _play(
    *, rate: float | None, seed: int, serve: bool, people: int = 2000, guests: int = 50
) -> None:
    from eros_cli.demo.run import DemoOptions, run_demo

    options = DemoOptions(people=people, rate=rate, guests=guests, seed=seed, serve=serve)
    try:
        healthy = run_stoppable(run_demo(Console(), options))
    except Interrupted as stopped:
        # A demo that serves is ended by Ctrl-C; one that was to end by itself was cut short.
        raise typer.Exit(0 if serve else stopped.exit_code) from None
    if not healthy:
        raise typer.Exit(1)
