"""`eros soak`: the whole under traffic while every part of it is broken in turn."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def soak(
        minutes: Annotated[float, typer.Option(min=0.1, help="How long.")] = 30,
        seed: Annotated[int, typer.Option(help="The same faults and people again.")] = 1,
        people: Annotated[int, typer.Option(min=2, max=2000, help="How many people.")] = 60,
    ) -> None:
        """Kill, freeze and restart every part at random under traffic, and report what was kept."""
        from eros_cli.operations.soak import soak

        report = asyncio.run(soak(minutes, seed, people))
        for line in report.broken():
            print(f"NOT HELD: {line}", file=sys.stderr)
        print(json.dumps(report.summary()))
        sys.exit(1 if report.broken() else 0)
