"""What a simulation showed, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from eros_cli.simulation.loop import instant
from eros_cli.simulation.options import Options
from eros_cli.simulation.tally import Minute, Span, percentile
from eros_cli.simulation.trace import Violation
from eros_cli.simulation.world import World
from eros_scheduler.core.model import RULES


@dataclass(frozen=True, slots=True)
class Report:
    """`figures` are the same for the same options; `seconds` is how long it took, CPU time."""

    options: Options
    figures: dict[str, Any]
    seconds: float
    minutes: tuple[Minute, ...]
    spans: tuple[Span, ...]
    violations: tuple[Violation, ...]
    followed: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        return {"seconds": round(self.seconds, 2), **self.figures}


def report(world: World, seconds: float) -> Report:
    judge, tally, trace = world.judge, world.tally, world.judge.trace
    figures: dict[str, Any] = {
        "violations": trace.total,
        "halts": tally.halt_count,
        "jobs": tally.done_count,
        "users": world.options.users,
        "hours": world.options.hours,
        "seed": world.options.seed,
        "start": world.options.start.isoformat(),
        "workers": world.options.worker_count,
        "schedulers": world.options.schedulers,
        "events": world.loop.steps,
        "sessions": tally.sessions,
        "faults": tally.faults.total(),
        "jobs_by_kind": {kind.name.lower(): tally.done[kind] for kind in RULES},
        "batches": tally.batches.total(),
        "resumed": tally.resumed,
        "failed": tally.failed.total(),
        "halts_by_reason": {
            reason.name.lower(): count for reason, count in sorted(tally.halts.items())
        },
        "killed": tally.killed,
        "stopped_p50_ms": round(1000 * percentile(judge.stopped, 0.5), 2),
        "stopped_p99_ms": round(1000 * percentile(judge.stopped, 0.99), 2),
        "stopped_max_ms": round(1000 * max(judge.stopped, default=0.0), 2),
        "cap_over_worst": round(judge.cap_worst, 4),
        "waited_longest_s": round(world.backlog.oldest),
        "violations_by_rule": dict(sorted(trace.counts.items())),
        "faults_by_kind": dict(sorted(tally.faults.items())),
    }
    return Report(
        options=world.options,
        figures=figures,
        seconds=seconds,
        minutes=tuple(tally.minutes),
        spans=tuple(tally.spans),
        violations=tuple(trace.violations),
        followed=tuple(trace.followed),
    )


def show(console: Console, found: Report) -> None:
    table = Table(show_header=False, title=f"seed {found.options.seed}")
    for key, value in found.json().items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
        table.add_row(key, str(value))
    console.print(table)
    for violation in found.violations[:_SHOWN]:
        console.print(text_of(found.options, violation), highlight=False, markup=False)
    if found.options.follow is not None:
        console.print("\n".join(found.followed), highlight=False, markup=False)


_SHOWN = 5


def text_of(options: Options, violation: Violation) -> str:
    """What to look at, and how to see it again."""
    moment = instant(options.start.timestamp() + violation.at).isoformat(timespec="milliseconds")
    again = f"./eros simulate --users {options.users} --hours {options.hours:g}"
    again += f" --seed {options.seed}"
    if options.faults != 1:
        again += f" --faults {options.faults:g}"
    if violation.person >= 0:
        again += f" --follow {violation.person}"
    lines = [
        f"VIOLATION of {violation.rule!r} at {violation.at:.3f} s ({moment}): {violation.what}",
        *(f"  {event}" for event in violation.events),
        f"  again, with all events: {again}",
    ]
    return "\n".join(lines)
