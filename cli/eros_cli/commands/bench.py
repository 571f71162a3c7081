"""`eros bench NAME`: the benchmarks in /bench, each a module with `run() -> dict`."""

from __future__ import annotations

import importlib
import inspect
import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from eros_cli.paths import CHECKOUT

_FOLDER = CHECKOUT / "bench"


def register(app: typer.Typer) -> None:
    @app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def bench(
        context: typer.Context,
        name: str = typer.Argument("", help="Which one; without a name, they are listed."),
        as_json: bool = typer.Option(False, "--json", help="End with one line of JSON."),
    ) -> None:
        """Measure one of the promises, on this machine, and print the figures.

        Further options are the benchmark's own: `--phrases FILE` is its argument `phrases`.
        """
        known = sorted(path.stem for path in _FOLDER.glob("[!_]*.py"))
        if not name:
            Console().print("\n".join(known) or "There are no benchmarks in this checkout.")
            return
        if name not in known:
            raise typer.BadParameter(f"there is none of that name; known: {', '.join(known)}")
        sys.path.insert(0, str(CHECKOUT))
        run = importlib.import_module(f"bench.{name}").run
        options = _own_options(run, context.args)
        _let_clean_up()
        # With --json nothing but that line is for who reads the output.
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            result: dict[str, Any] = run(**options)
        if as_json:
            print(json.dumps(result))
        else:
            _print(Console(), name, result)


def _let_clean_up() -> None:
    """However it is asked to stop, it is stopped as by Ctrl-C, which asyncio makes a cancel."""
    # Whoever is started in the background by a script inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup a closed terminal is to be survived.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _own_options(run: Callable[..., Any], given: Sequence[str]) -> dict[str, str]:
    """The benchmark's own options: each a parameter of its `run` that is a text."""
    known = [
        name for name, one in inspect.signature(run).parameters.items() if one.annotation == "str"
    ]
    found: dict[str, str] = {}
    rest = list(given)
    while rest:
        option, _, value = rest.pop(0).partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or name not in known:
            own = ", ".join(f"--{name}" for name in known) or "none"
            raise typer.BadParameter(f"{option}: unknown here; this benchmark's own options: {own}")
        if not value and not rest:
            raise typer.BadParameter(f"{option} needs a value")
        found[name] = value or rest.pop(0)
    return found


def _print(console: Console, name: str, result: dict[str, Any]) -> None:
    totals = Table(title=f"bench {name}", show_header=False)
    for key, value in result.items():
        if key != "rows":
            totals.add_row(key, _text(value))
    console.print(totals)
    rows: list[dict[str, Any]] = result.get("rows", [])
    if rows:
        table = Table(*rows[0], title="cases")
        for row in rows:
            table.add_row(*(_text(row.get(key)) for key in rows[0]))
        console.print(table)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
