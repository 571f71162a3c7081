"""The night clock of a data directory: it may run ahead of the wall, and never goes back."""

from __future__ import annotations

import json
from datetime import datetime

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.options import NightClock
from eros_common.clocks import NightLine


def kept_clock(data: DataDir, wall: datetime) -> NightClock:
    """The clock as last kept, going on at the pace of the wall; wall time where none was kept.

    A night that was played fast leaves the night clock ahead. It goes on from where it was when
    the night ended, or from wall time once that has overtaken it.
    """
    try:
        kept = json.loads(data.clock.read_text())
        line = NightLine(
            datetime.fromisoformat(kept["epoch"]), datetime.fromisoformat(kept["t0"]), 1.0
        )
    except (FileNotFoundError, ValueError, KeyError):
        return NightClock(wall, wall)
    return NightClock(max(line.at(wall), wall), wall)


def keep_clock(data: DataDir, clock: NightClock, wall: datetime) -> NightClock:
    """Keeps where `clock` is at `wall`, and returns it slowed down to the wall's pace."""
    slow = NightClock(NightLine(clock.epoch, clock.t0, clock.rate).at(wall), wall)
    fresh = data.clock.with_name("clock.json.new")
    fresh.write_text(json.dumps({"epoch": slow.epoch.isoformat(), "t0": slow.t0.isoformat()}))
    fresh.rename(data.clock)
    return slow
