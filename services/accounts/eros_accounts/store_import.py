"""Many new accounts at once, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from eros_accounts.domain.profile import Place, Preferences
from eros_accounts.ports import Imported, Person
from eros_accounts.store_database import ANALYZE
from eros_common.errors import AlreadyExists, FieldFault
from eros_common.ids import UserId, new_user_id

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

# Whoever is there already stays, under whichever of the two keys; in one order, so that two
# imports of the same people wait for each other instead of locking up.
_INSERT_USERS: Final = """
INSERT INTO accounts.users (id, email, source, external_id, created_at)
SELECT id, email, $3, external_id, $5
FROM unnest($1::uuid[], $2::text[], $4::text[]) n(id, email, external_id)
ORDER BY external_id
ON CONFLICT DO NOTHING RETURNING id
"""

_IDS: Final = """
SELECT external_id, id FROM accounts.users WHERE source = $1 AND external_id = ANY ($2)
"""

_MARK_DUE: Final = "SELECT scheduler.mark_due($1, $2, $3, $4)"

_PROFILE_COLUMNS: Final = (
    *("user_id", "name", "bio", "photos", "interests", "birth_year", "gender"),
    *("city", "lat", "lon", "time_zone"),
    *("seeks", "age_min", "age_max", "max_distance_km", "updated_at"),
)


async def import_people(
    connection: PoolConnectionProxy,
    source: str,
    people: Sequence[Person],
    now: datetime,
    night: datetime,
) -> Imported:
    """Creates those of a source who are not there yet and marks them due. ``external_id`` must be
    unique among ``people``. Raises ``AlreadyExists`` where an e-mail is somebody else's."""
    rows = await connection.fetch(
        _INSERT_USERS,
        [new_user_id() for _ in people],
        [person.email for person in people],
        source,
        [person.external_id for person in people],
        now,
    )
    created = {row["id"] for row in rows}
    found = await connection.fetch(_IDS, source, [person.external_id for person in people])
    ids: dict[str, UserId] = {row["external_id"]: UserId(row["id"]) for row in found}
    _refuse_taken(people, ids)
    fresh = [person for person in people if ids[person.external_id] in created]
    await connection.copy_records_to_table(
        "profiles",
        schema_name="accounts",
        columns=_PROFILE_COLUMNS,
        records=[_record(ids[person.external_id], person, now) for person in fresh],
    )
    await connection.execute(
        _MARK_DUE,
        [ids[person.external_id] for person in fresh],
        [(person.change.place or Place()).time_zone for person in fresh],
        ANALYZE,
        night,
    )
    return Imported(tuple(ids[person.external_id] for person in people), len(fresh))


def _refuse_taken(people: Sequence[Person], ids: Mapping[str, UserId]) -> None:
    faults = [
        FieldFault(f"accounts[{index}].email", "belongs to another account")
        for index, person in enumerate(people)
        if person.external_id not in ids
    ]
    if faults:
        raise AlreadyExists("an e-mail of this import belongs to another account", *faults)


def _record(user_id: UserId, person: Person, now: datetime) -> tuple[object, ...]:
    change = person.change
    place, preferences = change.place or Place(), change.preferences or Preferences()
    return (
        user_id,
        change.name,
        change.bio or "",
        change.photos or (),
        change.interests or (),
        change.birth_year,
        change.gender,
        place.city,
        place.lat,
        place.lon,
        place.time_zone,
        preferences.genders,
        preferences.age_min,
        preferences.age_max,
        preferences.max_distance_km,
        now,
    )
