"""Features, vectors and who has been seen, in PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from eros_common.ids import UserId
from eros_matcher.domain.lists import history_since
from eros_matcher.domain.people import AGE_MAX, AGE_MIN, Filters, Gender, Place
from eros_matcher.features.interests import tokens
from eros_matcher.features.record import Record
from eros_matcher.ports import Seen

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

_FIELDS: Final = (
    *("in_market", "zone", "birth_year", "gender", "seeks", "age_min", "age_max"),
    *("lat", "lon", "max_km", "interests", "tokens", "photos", "words"),
)
# Written anew only when something changed: an unchanged row makes no market file stale.
_SAVE: Final = f"""
INSERT INTO matcher.features AS f (user_id, updated_at, {", ".join(_FIELDS)})
VALUES ($1, $2, {", ".join(f"${number}" for number in range(3, 3 + len(_FIELDS)))})
ON CONFLICT (user_id) DO UPDATE SET
    {", ".join(f"{field} = excluded.{field}" for field in _FIELDS)},
    written = pg_current_xact_id(), updated_at = excluded.updated_at
WHERE ({", ".join(f"f.{field}" for field in _FIELDS)})
    IS DISTINCT FROM ({", ".join(f"excluded.{field}" for field in _FIELDS)})
"""  # noqa: S608 - constants
_SAVE_VECTOR: Final = """
WITH saved AS (
    INSERT INTO matcher.vectors AS v (model_version, user_id, vector, price)
    VALUES ($1, $2, $3, $5)
    ON CONFLICT (model_version, user_id) DO UPDATE SET vector = excluded.vector
    WHERE v.vector <> excluded.vector
    RETURNING user_id
)
UPDATE matcher.features f SET written = pg_current_xact_id(), updated_at = $4
FROM saved WHERE f.user_id = saved.user_id
"""
RECORDS: Final = """
SELECT f.*, v.vector, v.price FROM matcher.features f
JOIN matcher.vectors v ON v.user_id = f.user_id AND v.model_version = $1
"""
_NEAR: Final = f"""
{RECORDS} WHERE f.in_market AND f.gender = ANY ($2) AND f.seeks & $3 > 0
    AND f.birth_year BETWEEN $4 AND $5 AND f.age_min <= $6 AND f.age_max >= $6
    AND ($7::float8 IS NULL OR f.lat BETWEEN $7 AND $8 AND f.lon BETWEEN $9 AND $10)
LIMIT $11
"""
_EXCLUDED: Final = """
SELECT user_id, string_agg(uuid_send(other_id), '') AS ids FROM (
    SELECT user_id, other_id FROM matcher.hidden WHERE user_id = ANY ($1)
    UNION SELECT user_id, other_id FROM matcher.decisions WHERE user_id = ANY ($1)
    UNION SELECT other_id, user_id FROM matcher.decisions WHERE other_id = ANY ($1) AND action = 2
) pairs GROUP BY user_id
"""
_SHOWN: Final = """
SELECT user_id, string_agg(uuid_send(other_id), '' ORDER BY list_date, rank) AS ids FROM (
    SELECT DISTINCT ON (m.user_id, m.other_id) m.user_id, m.other_id, m.list_date, m.rank
    FROM unnest($1::uuid[], $2::date[], $3::date[]) l(user_id, since, until)
    JOIN matcher.matches m
        ON m.user_id = l.user_id AND m.list_date >= l.since AND m.list_date < l.until
    ORDER BY m.user_id, m.other_id, m.list_date DESC
) latest GROUP BY user_id
"""


class PostgresFeatures:
    """In the role `eros_matcher`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def records(self, users: Sequence[UserId], model_version: int) -> dict[UserId, Record]:
        """The people that were analyzed, in the market or not."""
        rows = await self._pool.fetch(
            """
            SELECT f.*, v.vector, v.price FROM matcher.features f
            LEFT JOIN matcher.vectors v ON v.user_id = f.user_id AND v.model_version = $1
            WHERE f.user_id = ANY ($2) AND (v.vector IS NOT NULL OR NOT f.in_market)
            """,
            *(model_version, users),
        )
        return {row["user_id"]: record_of(row) for row in rows}

    async def leanings(self, users: Sequence[UserId], model_version: int) -> dict[UserId, bytes]:
        """What was learned of each beyond the profile, of those of whom something was."""
        rows = await self._pool.fetch(
            """
            SELECT user_id, leaning FROM matcher.vectors
            WHERE model_version = $1 AND user_id = ANY ($2) AND leaning IS NOT NULL
            """,
            *(model_version, users),
        )
        return {row["user_id"]: row["leaning"] for row in rows}

    async def near(
        self, filters: Filters, model_version: int, year: int, most: int
    ) -> list[Record]:
        """Some of those in the market who may fit, whoever is found first."""
        box = _box(filters)
        rows = await self._pool.fetch(
            _NEAR,
            model_version,
            [int(gender) for gender in Gender if gender & filters.seeks],
            int(filters.gender),
            year - filters.age_max,
            year - filters.age_min,
            year - filters.birth_year,
            *box,
            most,
        )
        return [record_of(row) for row in rows]

    async def seen(self, dates: Mapping[UserId, date]) -> dict[UserId, Seen]:
        """Who must not come, or not again, on the lists of these people and dates."""
        users = list(dates)
        since = [history_since(day) for day in dates.values()]
        async with self._pool.acquire() as connection:
            excluded = await connection.fetch(_EXCLUDED, users)
            shown = await connection.fetch(_SHOWN, users, since, list(dates.values()))
        never = {row["user_id"]: row["ids"] for row in excluded}
        lately = {row["user_id"]: row["ids"] for row in shown}
        return {user: Seen(never.get(user, b""), lately.get(user, b"")) for user in users}


async def save_records(
    connection: PoolConnectionProxy, records: Sequence[Record], model_version: int, at: datetime
) -> None:
    """Keep what analysis found, and note which rows it changed."""
    ordered = sorted(records, key=lambda record: record.user_id)
    await connection.executemany(_SAVE, [_fields_of(record, at) for record in ordered])
    vectors = [
        (model_version, r.user_id, r.vector, at, r.price) for r in ordered if r.filters is not None
    ]
    await connection.executemany(_SAVE_VECTOR, vectors)


async def leave_market(
    connection: PoolConnectionProxy, users: Sequence[UserId], at: datetime
) -> None:
    """These accounts are gone."""
    await connection.execute(
        """
        UPDATE matcher.features
        SET in_market = false, written = pg_current_xact_id(), updated_at = $2
        WHERE user_id = ANY ($1) AND in_market
        """,
        *(users, at),
    )


def record_of(row: asyncpg.Record) -> Record:
    """A row of features with its vector."""
    filters = None
    if row["in_market"]:
        filters = Filters(
            birth_year=row["birth_year"],
            gender=Gender(row["gender"]),
            seeks=Gender(row["seeks"]),
            age_min=row["age_min"],
            age_max=row["age_max"],
            place=None if row["lat"] is None else Place(row["lat"], row["lon"]),
            max_km=row["max_km"],
        )
    vector = b"" if filters is None else row["vector"]
    return Record(
        row["user_id"],
        filters,
        row["zone"],
        tuple(row["interests"]),
        vector,
        row["photos"],
        row["words"],
        # There is none for somebody without a vector.
        row["price"] or 0.0,
    )


def _fields_of(record: Record, at: datetime) -> tuple[Any, ...]:
    f = record.filters
    place = f.place if f else None
    return (
        *(record.user_id, at, f is not None, record.zone),
        *((f.birth_year, f.gender, f.seeks) if f else (None, None, None)),
        *((f.age_min, f.age_max) if f else (AGE_MIN, AGE_MAX)),
        *((place.lat, place.lon) if place else (None, None)),
        *(f.max_km if f else None, list(record.interests), tokens(record.interests)),
        *(record.photos, record.words),
    )


def _box(filters: Filters) -> tuple[float | None, ...]:
    """Degrees around the person; nothing where distance or the person's place is open."""
    if filters.place is None or filters.max_km is None:
        return (None, None, None, None)
    lat, lon = filters.place.lat, filters.place.lon
    north = filters.max_km / 110.0
    east = north / max(math.cos(math.radians(min(abs(lat) + north, 90.0))), 1e-9)
    # Across the date line or at a pole the box goes all around; the filters decide later.
    wide = abs(lon) + east > 180
    return (lat - north, lat + north, *((-180.0, 180.0) if wide else (lon - east, lon + east)))
