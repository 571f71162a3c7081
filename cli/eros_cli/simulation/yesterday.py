"""Where the job rows stand when the simulation begins: last night's work is done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Final

from eros_cli.simulation.judge import Judge
from eros_cli.simulation.options import Options
from eros_cli.simulation.town import Town
from eros_common.phases import STARVED_AFTER
from eros_scheduler.core.model import JobKind
from eros_scheduler.store_memory_table import ALWAYS, NEVER, Row

_SPREAD_SECONDS: Final = 5400.0
"""Matches were made in the first hour and a half of phase 3."""


def rows(options: Options, town: Town, judge: Judge, random: Random) -> Iterator[Row]:
    """Tells the judge as well. Whoever sleeps is learned from activity, as always."""
    start = options.start
    nights = []
    for zone_name in town.zones:
        name = zone_name or options.default_zone
        latest = options.window.latest_night(start, name)
        under_way = start < latest.end
        done = latest.list_date - timedelta(days=1) if under_way else latest.list_date
        before = options.window.night(done, name)
        due = latest.start if under_way else options.window.next_start(start, name)
        nights.append((before.phase3, due))
    for person, user in enumerate(town.users):
        zone = int(town.zone_of[person])
        phase3, due = nights[zone]
        solo = ALWAYS
        if town.never_matched[person]:
            due = start
        else:
            matched = phase3 + timedelta(seconds=_SPREAD_SECONDS * random.random())
            judge.matched_at[person] = matched.timestamp() - start.timestamp()
            solo = matched + STARVED_AFTER
        for kind in options.kinds:
            row = Row(user, kind, town.zones[zone], due)
            if kind is JobKind.PREPARE:
                row.due_at = NEVER
            else:
                judge.due[kind][person] = due.timestamp() - start.timestamp()
            row.solo_at = solo
            yield row
