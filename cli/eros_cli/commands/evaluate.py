"""`eros eval`: how good the engine is on data with a known outcome."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from eros_cli.commands import exposure
from eros_cli.mesh.faults import MeshError
from eros_cli.paths import CHECKOUT


class Split(StrEnum):
    """What is held out: whole evenings, pairs of known people, or second halves."""

    COLD = "cold"
    WARM = "warm"
    TIME = "time"


_FILE = typer.Argument(exists=True, dir_okay=False, help="The speed-dating CSV file.")
_SPLIT = typer.Option(Split.COLD, help="Which pairs are held out.")
_JSON = typer.Option(False, "--json", help="End with one line of JSON.")


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Evaluate the engine on real outcomes.", no_args_is_help=True)
    app.add_typer(group, name="eval")

    @group.callback()
    def _group() -> None:
        """Evaluate the engine on real outcomes."""

    @group.command("speed-dating")
    def speed_dating(
        file: Path = _FILE,
        split: Split = _SPLIT,
        as_json: bool = _JSON,
    ) -> None:
        """Decisions and matches of pairs not learned from, beside simpler methods."""
        sys.path.insert(0, str(CHECKOUT))
        from bench._speed_dating import evaluate, splits

        result = _checked(lambda: evaluate.run(file, splits.Split(split.value)))
        if as_json:
            print(json.dumps(result))
        else:
            _print_methods(Console(), result)

    exposure.register(group)

    @group.command()
    def congestion(
        file: Path = _FILE,
        strength: float = typer.Option(1.0, min=0, max=2, help="Of the congestion prices."),
        as_json: bool = _JSON,
    ) -> None:
        """True matches that lists lead to: naive, product, and balanced order."""
        sys.path.insert(0, str(CHECKOUT))
        from bench._speed_dating import congestion as orders

        result = _checked(lambda: orders.run(file, strength))
        if as_json:
            print(json.dumps(result))
        else:
            _print_orders(Console(), result)


def _checked(run: Any) -> dict[str, Any]:
    from bench._speed_dating.data import UnreadableFileError

    try:
        result: dict[str, Any] = run()
    except UnreadableFileError as error:
        raise MeshError(str(error)) from error
    return result


def _print_methods(console: Console, result: dict[str, Any]) -> None:
    title = f"{result['split']}: {result['pairs']} pairs, {result['folds']} folds"
    metrics = ("match_auc", "match_ap", "match_person_auc", "match_p5", "decision_auc")
    table = Table("method", *metrics, title=title)
    for method, row in result["methods"].items():
        table.add_row(method, *(_spread(row.get(metric)) for metric in metrics))
    console.print(table)
    for method, row in result["paired"].items():
        gain = row.get("match_auc")
        if gain:
            console.print(
                f"eros − {method}: match AUC {gain['mean']:+.4f} ± {gain['standard_error']:.4f}"
            )


def _spread(value: dict[str, float] | None) -> str:
    return "" if value is None else f"{value['mean']:.3f} ± {value['std']:.3f}"


def _print_orders(console: Console, result: dict[str, Any]) -> None:
    table = Table("evenings", "random", "naive", "product", "balanced", "balanced / product")
    for name in ("all", "small"):
        row = result[name]
        table.add_row(
            f"{name}: {row['evenings']}",
            *(f"{row[order]:.1f}" for order in ("random", "naive", "product", "balanced")),
            f"{row.get('balanced_over_product', float('nan')):.2f}",
        )
    console.print(table)
