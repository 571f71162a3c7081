"""`eros doctor`: is a deployment as it should be."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

_SIGNS = {"good": "[green]✓[/green]", "odd": "[yellow]![/yellow]", "wrong": "[red]✗[/red]"}


def register(app: typer.Typer) -> None:
    @app.command()
    def doctor(
        url: Annotated[str, typer.Argument(help="The gateway, without a path.")] = "",
        admin_token: Annotated[
            str, typer.Option(envvar="EROS_ADMIN_TOKEN", help="Also asks how the night goes.")
        ] = "",
        as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
    ) -> None:
        """Look at a deployment from outside, and say what is wrong and what to do about it."""
        sys.exit(asyncio.run(_examine(url or _here(), admin_token, as_json)))


def _here() -> str:
    from eros_cli.operator import running_environment

    return running_environment()["EROS_GATEWAY_URL"]


async def _examine(url: str, token: str, as_json: bool) -> int:
    import httpx

    from eros_cli.operations.doctor import Doctor, Verdict

    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
        findings = await Doctor(http, token).examine()
    wrong = sum(found.verdict is Verdict.WRONG for found in findings)
    if as_json:
        print(json.dumps({"url": url, "wrong": wrong, "findings": [asdict(f) for f in findings]}))
        return 1 if wrong else 0
    console = Console()
    for found in findings:
        console.print(f"{_SIGNS[found.verdict]} {escape(f'{found.what}: {found.seen}')}")
        if found.remedy:
            console.print(f"    → {escape(found.remedy)}")
    console.print("Nothing is wrong." if not wrong else f"[red]{wrong} wrong[/red]")
    return 1 if wrong else 0
