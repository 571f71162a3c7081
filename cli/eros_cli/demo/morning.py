"""What people find in the morning, asked for over HTTP like an app does."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_cli.demo.display import kind_name
from eros_cli.demo.phone import Phone, RefusedError
from eros_cli.demo.wake import WokenPerson

_READS = 50
_MATCHES_SHOWN = 3
# Who wakes late in the night may be up when their turn would have come.
_SHARE_MATCHED = 0.98


@dataclass(slots=True)
class Morning:
    """What was found, and what is wrong with it (nothing, on a good morning)."""

    lists: int = 0
    cached_lists: int = 0
    matches: list[dict[str, Any]] = field(default_factory=list)
    cache_hit_ms: float = 0.0
    faults: list[str] = field(default_factory=list)


async def find_morning(phones: Iterable[Phone]) -> Morning:
    """Opens every phone's daily list, and one of them again and again for the time it takes."""
    morning = Morning()
    for phone in phones:
        try:
            await phone.log_in()
            answer = await phone.daily_matches()
        except RefusedError as error:
            morning.faults.append(str(error))
            continue
        morning.lists += bool(answer.body["matches"])
        morning.cached_lists += answer.body["source"] == "cache"
        if len(answer.body["matches"]) > len(morning.matches) or not morning.matches:
            morning.matches = answer.body["matches"]
            reads = [await phone.daily_matches() for _ in range(_READS)]
            morning.cache_hit_ms = statistics.median(read.ms for read in reads)
    if not morning.matches:
        morning.faults.append("nobody with a phone found a match")
    if not morning.cached_lists:
        morning.faults.append("no daily list came from the cache")
    return morning


def check_night(
    overview: scheduler_pb2.GetOverviewResponse, woken: WokenPerson | None, expected: int
) -> list[str]:
    """What went wrong in the night, in words; `expected` people slept."""
    faults = []
    if woken is None:
        faults.append("no work was met that a touch could have stopped")
    done = {kind.kind: kind.done for kind in overview.kinds}
    matched = done.get(work_pb2.JOB_KIND_MATCH, 0)
    if matched < expected * _SHARE_MATCHED:
        faults.append(f"{matched} people were matched, {expected} slept")
    faults += [
        f"{kind.dead} jobs of kind {kind_name(kind.kind)} failed for good"
        for kind in overview.kinds
        if kind.dead
    ]
    return faults


def print_morning(
    console: Console, overview: scheduler_pb2.GetOverviewResponse, morning: Morning
) -> None:
    """The report: jobs, matches with their reasons, and how fast they are read."""
    jobs = ", ".join(f"{kind.done} {kind_name(kind.kind)}" for kind in overview.kinds)
    console.print(f"jobs done: {jobs}; halts: {overview.halts}")
    console.print(
        f"of {morning.lists} phones that were opened, {morning.cached_lists} had their matches in "
        f"the cache; a cached list takes {morning.cache_hit_ms:.1f} ms over HTTP (median of "
        f"{_READS})"
    )
    for match in morning.matches[:_MATCHES_SHOWN]:
        away = f", {match['distanceKm']:.0f} km away" if "distanceKm" in match else ""
        console.print(f"  [bold]{escape(match['name'])}[/bold], {match['age']}{away}")
        for reason in match["reasons"]:
            console.print(f"    · {escape(reason)}")
