"""Who is shown how often, by gender and age: what the lists of the last days came to."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table

_EXPOSURE: Final = """
WITH shown AS (
    SELECT other_id, count(*) AS times FROM matcher.matches
    WHERE list_date > (SELECT max(list_date) FROM matcher.matches) - $1::int GROUP BY other_id
), people AS (
    SELECT gender, coalesce(s.times, 0) AS times,
        CASE WHEN age < 25 THEN '18-24' WHEN age < 35 THEN '25-34' WHEN age < 45 THEN '35-44'
            WHEN age < 55 THEN '45-54' ELSE '55+' END AS ages
    FROM (
        SELECT user_id, gender, extract(year FROM now())::int - birth_year AS age
        FROM matcher.features WHERE in_market
    ) f LEFT JOIN shown s ON s.other_id = f.user_id
)
SELECT gender, ages, count(*)::int AS people, sum(times)::int AS shown,
    count(*) FILTER (WHERE times = 0)::int AS never, max(times)::int AS most
FROM people GROUP BY gender, ages ORDER BY gender, ages
"""
_GENDERS: Final = {1: "female", 2: "male", 4: "nonbinary"}


def register(group: typer.Typer) -> None:
    @group.command()
    def exposure(
        days: int = typer.Option(7, min=1, max=400, help="How many list days, to the latest."),
        as_json: bool = typer.Option(False, "--json", help="End with one line of JSON."),
    ) -> None:
        """Audit a running EROS: how often people are on others' daily lists, by gender and age."""
        result = asyncio.run(measure(_database(), days))
        if as_json:
            print(json.dumps(result))
        else:
            _print(Console(), result)


async def measure(url: str, days: int) -> dict[str, Any]:
    """The audit of the database at `url`."""
    from eros_common import postgres

    async with postgres.open_pool(url, app="eval-exposure", role="eros_matcher", size=1) as pool:
        rows = [dict(row) for row in await pool.fetch(_EXPOSURE, days)]
    return summary(rows, days)


def _database() -> str:
    from eros_cli.operator import running_environment

    return os.environ.get("DATABASE_URL") or running_environment()["DATABASE_URL"]


def summary(rows: list[dict[str, Any]], days: int) -> dict[str, Any]:
    """Each group's share of people and of places on lists; a ratio of 1 is an even share."""
    people = sum(row["people"] for row in rows)
    shown = sum(row["shown"] for row in rows)
    groups = [
        {
            "gender": _GENDERS.get(row["gender"], "unknown"),
            "ages": row["ages"],
            "people": row["people"],
            "shown_per_person_day": row["shown"] / (row["people"] * days),
            "over_even": (row["shown"] / row["people"]) / (shown / people) if shown else None,
            "never_shown": row["never"] / row["people"],
            "most_shown": row["most"],
        }
        for row in rows
    ]
    return {"days": days, "people": people, "places": shown, "groups": groups}


def _print(console: Console, result: dict[str, Any]) -> None:
    title = f"{result['people']} people, {result['places']} places in {result['days']} days"
    table = Table("gender", "ages", "people", "a day", "over even", "never", "most", title=title)
    for group in result["groups"]:
        even = group["over_even"]
        table.add_row(
            group["gender"],
            group["ages"],
            str(group["people"]),
            f"{group['shown_per_person_day']:.2f}",
            "" if even is None else f"{even:.2f}",
            f"{group['never_shown']:.0%}",
            str(group["most_shown"]),
        )
    console.print(table)
