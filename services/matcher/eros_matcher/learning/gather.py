"""Reads all that is learned from into one file: `python -m eros_matcher.learning.gather …`.

Arguments: DIRECTORY NAME MODEL YEAR PARENT. A process of its own, as the market's builder is one.
The database comes from DATABASE_URL. Of each pair the last decision counts, or a view without one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import numpy as np

from eros_common import logging, postgres
from eros_matcher.domain.actions import Action
from eros_matcher.domain.people import Filters
from eros_matcher.features.analysis import leaning_of
from eros_matcher.features.model import BIAS_INPUTS, KNOWN_DIMS, LEANING_FLOATS, Model
from eros_matcher.features.said import said_of
from eros_matcher.learning.helper import settings_of_helper
from eros_matcher.learning.markets import markets_of
from eros_matcher.market import columns
from eros_matcher.market import market as m
from eros_matcher.store_features import record_of
from eros_matcher.store_models import PostgresModels

log = logging.get("matcher.learning")

HALF_LIFE_DAYS: Final = 180.0
"""After so long a decision counts half: taste changes, and so do profiles."""
MOST: Final = 5_000_000
"""Pairs that are learned from, the latest: 40 bytes each."""
_AT_ONCE: Final = 2000
_WEIGHTS: Final = {Action.LIKE: 1.0, Action.SKIP: 1.0, Action.VIEW: 0.25, Action.REPORT: 2.0}
"""Who looked and said nothing is a little less interested than not; a report is a firm no."""
_PEOPLE: Final = """
SELECT f.*, v.vector, v.price, v.leaning FROM matcher.features f
LEFT JOIN matcher.vectors v ON v.user_id = f.user_id AND v.model_version = $1
WHERE f.in_market ORDER BY f.user_id
"""
_ACTIONS: Final = """
SELECT * FROM (
    SELECT DISTINCT ON (user_id, other_id) user_id, other_id, action, at FROM matcher.actions
    WHERE at <= $1 ORDER BY user_id, other_id, action = 3, id DESC
) latest ORDER BY at DESC, user_id, other_id LIMIT $2
"""
_KEEP_CUTOFF: Final = """
INSERT INTO matcher.learnings (night, cutoff) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""
_FORGET_CUTOFFS: Final = """
DELETE FROM matcher.learnings
WHERE night <> $1 AND cutoff < (SELECT cutoff FROM matcher.learnings WHERE night = $1)
"""
_CUTOFF: Final = "SELECT cutoff FROM matcher.learnings WHERE night = $1"


@dataclass(slots=True)
class _People:
    ids: list[bytes] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    small: list[tuple[int, ...]] = field(default_factory=list)
    places: list[tuple[float, ...]] = field(default_factory=list)
    leanings: list[Any] = field(default_factory=list)
    broken: int = 0

    def add(self, row: asyncpg.Record, model: Model, year: int) -> None:
        person = record_of(row)
        filters = person.filters
        assert filters is not None
        said = said_of(filters, person.interests, person.photos, person.words, model, year)
        values = np.concatenate([said.bias, said.taste, said.trait])
        if not np.isfinite(values).all():
            self.broken += 1
            return
        self.ids.append(person.user_id.bytes)
        self.rows.append(values.astype(np.float32))
        self.small.append(_small(filters, year))
        self.places.append((*m.place_of(filters), m.reach_of(filters)))
        self.leanings.append(leaning_of(row["leaning"] or b""))

    def arrays(self) -> dict[str, Any]:
        count = len(self.ids)
        bias = len(BIAS_INPUTS)
        rows = np.array(self.rows, dtype=np.float32).reshape(count, bias + 2 * KNOWN_DIMS)
        small = np.array(self.small, dtype=np.int16).reshape(count, 5)
        places = np.array(self.places, dtype=np.float32).reshape(count, 4)
        gender, seeks = small[:, 0].astype(np.uint8), small[:, 1].astype(np.uint8)
        return {
            "ids": np.frombuffer(b"".join(self.ids), dtype=np.uint8).reshape(count, 16),
            "bias": rows[:, :bias],
            "taste": rows[:, bias : bias + KNOWN_DIMS],
            "trait": rows[:, bias + KNOWN_DIMS :],
            "leanings": np.array(self.leanings, np.float32).reshape(count, LEANING_FLOATS),
            "gender": gender,
            "seeks": seeks,
            "born": small[:, 2],
            "born_from": small[:, 3],
            "born_to": small[:, 4],
            "place": places[:, :3],
            "reach": places[:, 3],
            "market": markets_of(gender, seeks, places[:, :3]),
        }


async def cutoff_of(pool: asyncpg.Pool, night: str, now: datetime) -> datetime:
    """Up to when a night's learning reads: since its first turn, wherever that was. A turn on
    another host reads the same decisions, so that it can go on with what was learned from them."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_KEEP_CUTOFF, night, now)
        await connection.execute(_FORGET_CUTOFFS, night)
        kept: datetime = await connection.fetchval(_CUTOFF, night)
    return kept


async def gather(
    pool: asyncpg.Pool, path: Path, model_version: int, model: Model, year: int, cutoff: datetime
) -> dict[str, Any]:
    """Write the file; returns what is said beside its arrays."""
    people = _People()
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        # The first rows of a sort come when all of them are sorted. Who started this process ends
        # it when it takes too long.
        await connection.execute("SET LOCAL statement_timeout = 0")
        cursor = await connection.cursor(_PEOPLE, model_version)
        while rows := await cursor.fetch(_AT_ONCE):
            for row in rows:
                people.add(row, model, year)
        number = {user: index for index, user in enumerate(people.ids)}
        pairs: list[tuple[int, int, float, float]] = []
        cursor = await connection.cursor(_ACTIONS, cutoff, MOST)
        while rows := await cursor.fetch(_AT_ONCE):
            pairs.extend(
                (number[u], number[v], float(action is Action.LIKE), _weight(action, at, cutoff))
                for u, v, action, at in ((r[0].bytes, r[1].bytes, Action(r[2]), r[3]) for r in rows)
                if u in number and v in number
            )
    # An order of its own, so that the same content has the same digest.
    pairs.sort()
    table = np.array(pairs, dtype=np.float64).reshape(len(pairs), 4)
    arrays = people.arrays() | {
        "chooser": table[:, 0].astype(np.int32),
        "chosen": table[:, 1].astype(np.int32),
        "liked": table[:, 2],
        "weight": table[:, 3],
    }
    meta = {
        "model_version": model_version,
        "cutoff": cutoff.isoformat(),
        "people": len(people.ids),
        "observations": len(pairs),
        "digest": columns.digest(arrays),
    }
    if people.broken:
        log.warning("people_left_out", reason="numbers that are none", people=people.broken)
    temporary = path.with_suffix(".new")
    columns.write(temporary, arrays, meta)
    temporary.rename(path)
    return meta


def _small(filters: Filters, year: int) -> tuple[int, ...]:
    born = max(0, min(255, filters.birth_year - m.FIRST_YEAR))
    return (int(filters.gender), int(filters.seeks), born, *m.born_range(filters, year))


def _weight(action: Action, at: datetime, cutoff: datetime) -> float:
    days = max((cutoff - at).total_seconds(), 0.0) / 86_400
    return float(_WEIGHTS[action] * 0.5 ** (days / HALF_LIFE_DAYS))


def _remove_others(path: Path) -> None:
    for old in path.parent.glob("learn.*"):
        if old != path:
            old.unlink(missing_ok=True)


async def _main(directory: Path, name: str, model_version: int, year: int, url: str) -> None:
    began = time.monotonic()
    async with postgres.open_pool(url, app="matcher-learning", role="eros_matcher", size=1) as pool:
        model = await PostgresModels(pool).current()
        if model.version != model_version:
            log.warning("another_model", wanted=model_version, found=model.version)
            sys.exit(1)
        path = directory / name
        cutoff = await cutoff_of(pool, name, datetime.now(UTC))
        meta = await gather(pool, path, model_version, model.model, year, cutoff)
        await asyncio.to_thread(_remove_others, path)
    log.info(
        "gathered",
        people=meta["people"],
        observations=meta["observations"],
        seconds=round(time.monotonic() - began, 3),
    )


if __name__ == "__main__":
    where, file, version, of_year, _ = sys.argv[1:]
    url_of_all = settings_of_helper("matcher-learning", int(sys.argv[-1]))
    asyncio.run(_main(Path(where), file, int(version), int(of_year), url_of_all))
