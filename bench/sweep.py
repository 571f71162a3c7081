"""Load follows sleep: the off-peak part's processor time with 0 to 100 % of all people asleep.

The simulated night (the real cores of scheduler and worker, `./eros simulate`), everybody in one
zone whose third phase has begun, all of everybody's work waiting. Who is awake
sends heartbeats all the time; who sleeps does so throughout.

EROS_BENCH_USERS and EROS_BENCH_HOURS change the size; EROS_BENCH_SWEEP_PLOT names a picture.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench._machine import machine
from eros_cli.simulation.options import Options
from eros_cli.simulation.town import Town, build
from eros_cli.simulation.world import World
from eros_scheduler.core.model import PERSONAL, Zone

_USERS: Final = 10_000
_HOURS: Final = 0.5
_WORKERS: Final = 4
_STEP: Final = 10
_START: Final = datetime(2026, 6, 2, 4, 0, tzinfo=UTC)
_SLEPT_SECONDS: Final = 5 * 3600.0
_NEVER: Final = 1e12
#: Of the default zone, as all are then.
_NOWHERE: Final = Zone("")


def run() -> dict[str, Any]:
    """A row for every tenth asleep; processor time as cores, all workers together.

    `people_cores` without the learner, which takes what is left once enough people sleep.
    """
    users = int(os.environ.get("EROS_BENCH_USERS", _USERS))
    hours = float(os.environ.get("EROS_BENCH_HOURS", _HOURS))
    rows = [_night(users, hours, percent) for percent in range(0, 101, _STEP)]
    if plot := os.environ.get("EROS_BENCH_SWEEP_PLOT"):
        _draw(rows, Path(plot))
    return {
        "users": users,
        "workers": _WORKERS,
        "all_awake_cores": rows[0]["cores"],
        "all_asleep_cores": rows[-1]["cores"],
        **machine("numpy"),
        "rows": rows,
    }


def _night(users: int, hours: float, percent: int) -> dict[str, Any]:
    began = time.perf_counter()
    # Nobody is woken on purpose: the shares are to stay as they are.
    options = Options(
        users=users,
        hours=hours,
        start=_START,
        workers=_WORKERS,
        faults=0.0,
        aim_seconds=_NEVER,
    )
    world = World(options, _town(options, percent))
    world.run()
    minutes = world.tally.minutes[1:]
    return {
        "asleep_percent": percent,
        "cores": round(sum(sum(m.cpu.values()) for m in minutes) / len(minutes), 4),
        "people_cores": round(sum(m.cpu[k] for m in minutes for k in PERSONAL) / len(minutes), 4),
        "allowed_cores": round(sum(m.cap for m in minutes) / len(minutes), 4),
        "jobs_done": world.tally.done_count,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _town(options: Options, percent: int) -> Town:
    """So many have slept for hours; all others are at the phone until after the end."""
    town = build(options)
    asleep = np.arange(options.users) % 100 < percent
    return replace(
        town,
        zone_of=np.full_like(town.zone_of, town.zones.index(_NOWHERE)),
        last_seen=np.where(asleep, -_SLEPT_SECONDS, options.seconds + 60.0),
        starts=town.starts[:0],
        who=town.who[:0],
        ends=town.ends[:0],
    )


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    asleep = [row["asleep_percent"] for row in rows]
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axes.plot(asleep, [row["cores"] for row in rows], "o-", label="taken")
    axes.plot(asleep, [row["people_cores"] for row in rows], "o-", label="of it, for people")
    axes.plot(asleep, [row["allowed_cores"] for row in rows], "r--", label="allowed")
    axes.set(xlabel="% of all people asleep", ylabel="cores, all workers together")
    axes.legend()
    figure.savefig(path)
    plt.close(figure)
