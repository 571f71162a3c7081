"""docs/metrics.md against the instruments that the code makes: `python -m eros_cli.metric_table`.

Names are a promise: dashboards and alerts are written against them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eros_cli.paths import CHECKOUT

TABLE = CHECKOUT / "docs" / "metrics.md"
_CODE = ("libs", "services")
_KINDS = {
    "create_counter": "counter",
    "create_observable_counter": "counter",
    "create_up_down_counter": "gauge",
    "create_observable_up_down_counter": "gauge",
    "create_gauge": "gauge",
    "create_observable_gauge": "gauge",
    "create_histogram": "histogram",
}


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """One instrument; `place` is where it is made."""

    name: str
    kind: str
    unit: str
    meaning: str
    place: str = ""

    @property
    def prometheus(self) -> str:
        """Its name as Prometheus reads it."""
        # The exporter's own rules: nobody else knows them for sure.
        from opentelemetry.exporter.prometheus._mapping import map_unit, sanitize_full_name

        name, unit = sanitize_full_name(self.name), map_unit(self.unit)
        if unit and not name.endswith(f"_{unit}"):
            name += f"_{unit}"
        return f"{name}_total" if self.kind == "counter" else name

    def row(self, attributes: str = "…") -> str:
        cells = (f"`{self.name}`", self.kind, f"`{self.unit}`", attributes)
        return " | ".join(("", *cells, f"`{self.prometheus}`", self.meaning, "")).strip()


class TableFault(Exception):
    """A line of the code or of the table that is wrong."""


def made() -> list[Metric]:
    """Every instrument of the code. Raises TableFault where a name or unit is no plain text."""
    found: dict[str, Metric] = {}
    for folder in _CODE:
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            for metric in _made_in(path):
                other = found.setdefault(metric.name, metric)
                if (other.kind, other.unit) != (metric.kind, metric.unit):
                    raise TableFault(f"{metric.place}: {metric.name} is another at {other.place}")
    return sorted(found.values())


def _made_in(path: Path) -> Iterator[Metric]:
    text = path.read_text(encoding="utf-8")
    if "create_" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        kind = _KINDS.get(node.func.attr)
        if kind is None:
            continue
        place = f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        given = dict(zip(("name", "unit", "description"), node.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        try:
            name, unit, meaning = (
                str(ast.literal_eval(given[part])) for part in ("name", "unit", "description")
            )
        except (KeyError, ValueError):
            raise TableFault(
                f"{place}: an instrument needs name, unit and description as plain text"
            ) from None
        yield Metric(name, kind, unit, meaning, place)


def told() -> list[Metric]:
    """Every row of the table."""
    rows = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 6:
            name, kind, unit, _, prometheus, meaning = cells
            metric = Metric(name.strip("`"), kind, unit.strip("`"), meaning)
            if prometheus.strip("`") != metric.prometheus:
                raise TableFault(f"{metric.name}: Prometheus calls it {metric.prometheus}")
            rows.append(metric)
    return rows


def faults() -> list[str]:
    """What differs; with the rows to add."""
    try:
        made_, told_ = made(), told()
    except TableFault as fault:
        return [str(fault)]
    rows = {metric.name: metric for metric in told_}
    lines = []
    for metric in made_:
        row = rows.pop(metric.name, None)
        if row is None or (row.kind, row.unit, row.meaning) != (
            *(metric.kind, metric.unit),
            metric.meaning,
        ):
            lines.append(f"{metric.place}: its row in docs/metrics.md must be\n{metric.row()}")
    lines += [f"docs/metrics.md: nobody makes {name}" for name in rows]
    return lines


def main() -> int:
    found = faults()
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
