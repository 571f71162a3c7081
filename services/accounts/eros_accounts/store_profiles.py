"""Profiles in PostgreSQL. A read is one statement, and so is a save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from eros_accounts.domain.profile import Gender, Place, Preferences, Profile, ProfileChange
from eros_accounts.ports import Imported, Person
from eros_accounts.store_database import ANALYZE, Database
from eros_accounts.store_import import import_people
from eros_common.errors import DeadlineExceeded
from eros_common.ids import UserId

_FIND: Final = """
SELECT p.*, u.email FROM accounts.profiles p JOIN accounts.users u ON u.id = p.user_id
WHERE p.user_id = ANY ($1)
"""

_IS_HIDDEN: Final = "SELECT matcher.is_hidden($1, $2)"

# NULL leaves a column as it is; $8 and $13 say whether the place and the preferences are replaced.
_SAVE: Final = """
WITH saved AS (
    UPDATE accounts.profiles p SET
        name = coalesce($2, p.name), bio = coalesce($3, p.bio),
        photos = coalesce($4, p.photos), interests = coalesce($5, p.interests),
        birth_year = coalesce($6, p.birth_year), gender = coalesce($7, p.gender),
        city = CASE WHEN $8 THEN $9 ELSE p.city END,
        lat = CASE WHEN $8 THEN $10 ELSE p.lat END,
        lon = CASE WHEN $8 THEN $11 ELSE p.lon END,
        time_zone = CASE WHEN $8 THEN $12 ELSE p.time_zone END,
        seeks = CASE WHEN $13 THEN $14 ELSE p.seeks END,
        age_min = CASE WHEN $13 THEN $15 ELSE p.age_min END,
        age_max = CASE WHEN $13 THEN $16 ELSE p.age_max END,
        max_distance_km = CASE WHEN $13 THEN $17 ELSE p.max_distance_km END,
        version = p.version + 1, updated_at = $18
    FROM accounts.users u WHERE u.id = p.user_id AND p.user_id = $1
    RETURNING p.*, u.email
)
SELECT *, scheduler.mark_due(ARRAY[user_id], ARRAY[time_zone], $20, $19) FROM saved
"""


class PostgresProfiles:
    """The port ``ProfileStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UserId) -> Profile | None:
        return next(await self.find_many([user_id]), None)

    async def is_hidden(self, user_id: UserId, other_id: UserId) -> bool:
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_IS_HIDDEN, user_id, other_id))

    async def find_many(self, user_ids: Sequence[UserId]) -> Iterator[Profile]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(_FIND, user_ids)
        return map(_profile, rows)

    async def save(
        self,
        user_id: UserId,
        change: ProfileChange,
        now: datetime,
        night: datetime,
        left: Callable[[], bool],
    ) -> Profile | None:
        place, preferences = change.place or Place(), change.preferences or Preferences()
        async with self._database.connection() as connection:
            if left():
                raise DeadlineExceeded("nobody waits for this any more")
            row = await connection.fetchrow(
                _SAVE,
                user_id,
                change.name,
                change.bio,
                change.photos,
                change.interests,
                change.birth_year,
                change.gender,
                change.place is not None,
                place.city,
                place.lat,
                place.lon,
                place.time_zone,
                change.preferences is not None,
                preferences.genders,
                preferences.age_min,
                preferences.age_max,
                preferences.max_distance_km,
                now,
                night,
                ANALYZE,
            )
        return None if row is None else _profile(row)

    async def create(
        self, source: str, people: Sequence[Person], now: datetime, night: datetime
    ) -> Imported:
        async with self._database.connection() as connection, connection.transaction():
            return await import_people(connection, source, people, now, night)


def _profile(row: asyncpg.Record) -> Profile:
    gender = row["gender"]
    return Profile(
        user_id=UserId(row["user_id"]),
        name=row["name"],
        email=row["email"],
        bio=row["bio"],
        photos=tuple(row["photos"]),
        interests=tuple(row["interests"]),
        birth_year=row["birth_year"],
        gender=None if gender is None else Gender(gender),
        place=Place(row["city"], row["lat"], row["lon"], row["time_zone"]),
        preferences=Preferences(
            tuple(map(Gender, row["seeks"])),
            row["age_min"],
            row["age_max"],
            row["max_distance_km"],
        ),
        version=row["version"],
    )
