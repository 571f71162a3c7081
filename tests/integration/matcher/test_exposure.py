"""The audit of who is shown how often, as an operator calls it, over the lists of real nights."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from pathlib import Path

from tests.integration.matcher.conftest import World
from tests.support.cli import run

MORNING = date(2026, 3, 3)


async def test_everybody_and_every_place_is_counted(
    world: World, postgres_url: str, tmp_path: Path
) -> None:
    people = world.people(300)
    for night in range(2):
        await world.nights.whole(people, MORNING + timedelta(days=night))

    done = await asyncio.to_thread(
        run, tmp_path, "eval", "exposure", "--days", "2", "--json", DATABASE_URL=postgres_url
    )

    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout.splitlines()[-1])
    assert audit["people"] == 300
    assert audit["places"] == await world.pool.fetchval("SELECT count(*) FROM matcher.matches")
    groups = audit["groups"]
    assert sum(group["people"] for group in groups) == 300
    assert {group["gender"] for group in groups} == {"female", "male", "nonbinary"}
    assert {group["ages"] for group in groups} == {"18-24", "25-34", "35-44", "45-54", "55+"}
    shown = sum(group["shown_per_person_day"] * group["people"] * 2 for group in groups)
    assert round(shown) == audit["places"] > 3000
    for group in groups:
        assert 0 <= group["never_shown"] < 1
        assert (group["over_even"] > 0) == (group["most_shown"] > 0)
