"""The night as a picture: people by phase, CPU against the cap, halts; as PNG and as one HTML."""

from __future__ import annotations

import base64
import html
from datetime import UTC
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eros_cli.simulation.loop import instant
from eros_cli.simulation.report import Report, text_of
from eros_scheduler.core.model import RULES, HaltReason, JobKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PHASES: Final = ("#f2c14e", "#8fb8de", "#4f7cac", "#1d3557")
_KINDS: Final = {
    JobKind.ANALYZE: "#8fb8de",
    JobKind.SCORE: "#4f7cac",
    JobKind.MATCH: "#1d3557",
    JobKind.PREPARE: "#2a9d8f",
    JobKind.LEARN: "#b08968",
}
_REASONS: Final = {
    HaltReason.WOKE: "#e76f51",
    HaltReason.PAUSED: "#8d99ae",
    HaltReason.WINDOW: "#e9c46a",
    HaltReason.FENCED: "#6d597a",
    HaltReason.DRAIN: "#adb5bd",
    HaltReason.DELETED: "#000000",
    HaltReason.YIELDED: "#b08968",
}


def draw(found: Report, folder: Path) -> tuple[Path, Path]:
    """Writes `night.png` and `night.html` into the folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = _picture(found)
    png, page = folder / "night.png", folder / "night.html"
    png.write_bytes(picture)
    page.write_text(_page(found, picture), encoding="utf-8")
    return png, page


def _picture(found: Report) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 10), layout="constrained")
    FigureCanvasAgg(figure)
    people, cpu, halts = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 2))
    minutes = found.minutes[1:]
    start = found.options.start.timestamp()
    times: list[Any] = [instant(start + minute.at) for minute in minutes]

    by_phase = [[minute.people[phase] for minute in minutes] for phase in (3, 2, 1, 0)]
    names = ("phase 3", "phase 2", "phase 1", "phase 0: awake, or their window is closed")
    people.stackplot(times, by_phase, labels=names, colors=_PHASES[::-1])
    people.set_ylabel("people")
    people.set_title(
        f"{found.options.users:,} people, {found.options.hours:g} hours, seed "
        f"{found.options.seed}: {found.figures['jobs']:,} jobs, {found.figures['halts']:,} halts, "
        f"{found.figures['violations']} violations"
    )
    by_kind = [[minute.cpu[kind] for minute in minutes] for kind in RULES]
    kinds = [kind.name.lower() for kind in RULES]
    cpu.stackplot(times, by_kind, labels=kinds, colors=[_KINDS[kind] for kind in RULES])
    cpu.plot(times, [minute.cap for minute in minutes], "r-", linewidth=0.8, label="cap")
    cpu.set_ylabel("cores, all workers")

    reasons = [reason for reason in HaltReason if any(reason in m.halts for m in minutes)]
    heights = [[minute.halts.get(reason, 0) for minute in minutes] for reason in reasons]
    below = [0] * len(minutes)
    for reason, counts in zip(reasons, heights, strict=True):
        name = reason.name.lower()
        halts.bar(times, counts, width=1 / 1440, bottom=below, color=_REASONS[reason], label=name)
        below = [low + count for low, count in zip(below, counts, strict=True)]
    halts.set_ylabel("halts a minute")
    # A pause halts hundreds at once, a touch one: both are to be seen.
    halts.set_yscale("symlog", linthresh=10)
    locator: Any = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    halts.xaxis.set_major_locator(locator)
    halts.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    halts.set_xlabel("UTC")
    _faults(found, halts)
    for axes in (people, cpu, halts):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", fontsize="small", framealpha=0.8)
        axes.margins(x=0)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=100)
    return out.getvalue()


def _faults(found: Report, axes: Axes) -> None:
    """Shaded, at least wide enough to be seen."""
    start = found.options.start.timestamp()
    least = found.options.seconds / 1000
    for number, span in enumerate(found.spans):
        began: Any = instant(start + span.began)
        ended: Any = instant(start + max(span.ended, span.began + least))
        label = "something is broken" if number == 0 else None
        axes.axvspan(began, ended, color="#e63946", alpha=0.15, linewidth=0, label=label)


def _page(found: Report, picture: bytes) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(_cell(value))}</td></tr>"
        for key, value in found.json().items()
    )
    start = found.options.start.timestamp()
    faults = "".join(
        f"<tr><td>{instant(start + span.began):%H:%M:%S}</td><td>{html.escape(span.kind)}</td>"
        f"<td>{span.ended - span.began:.1f} s</td></tr>"
        for span in found.spans
    )
    violations = "".join(
        f"<pre>{html.escape(text_of(found.options, violation))}</pre>"
        for violation in found.violations
    )
    image = base64.b64encode(picture).decode()
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>EROS: a simulated night</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2em auto; padding: 0 1em }}
img {{ max-width: 100% }} table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ text-align: left; padding: .15em .8em .15em 0; vertical-align: top; font-weight: normal }}
th {{ color: #666 }} pre {{ background: #f6f6f6; padding: 1em; overflow: auto }}
</style>
<h1>A simulated night</h1>
<img alt="People by phase, CPU against the cap, and halts, by time (UTC)"
 src="data:image/png;base64,{image}">
<h2>Violations</h2>{violations or "<p>None.</p>"}
<h2>Figures</h2><table>{rows}</table>
<h2>What broke</h2><table>{faults or "<tr><td>Nothing.</td></tr>"}</table>
</html>
"""


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
    return str(value)
