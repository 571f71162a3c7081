from __future__ import annotations

import asyncio

import asyncpg
import pytest

from eros_accounts.domain.profile import Profile
from eros_accounts.ports import Credentials, Person
from eros_accounts.store_profiles import PostgresProfiles
from eros_accounts.store_sessions import PostgresSessions
from eros_common.errors import AlreadyExists
from tests.ports.accounts.people import NIGHT, NOW, new_email, person, register
from tests.ports.accounts.test_profiles import WHOLE


async def test_imported_people_are_whole(
    sessions: PostgresSessions, profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    email = new_email()
    people = [Person("whole", email, WHOLE), person("bare")]
    imported = await profiles.create("a", people, NOW, NIGHT)
    assert imported.created == 2
    whole, bare = imported.user_ids
    assert WHOLE.name is not None
    assert await profiles.find(whole) == Profile(
        user_id=whole,
        name=WHOLE.name,
        email=email,
        bio=WHOLE.bio or "",
        photos=WHOLE.photos or (),
        interests=WHOLE.interests or (),
        birth_year=WHOLE.birth_year,
        gender=WHOLE.gender,
        place=WHOLE.place or pytest.fail("WHOLE has a place"),
        preferences=WHOLE.preferences or pytest.fail("WHOLE has preferences"),
    )
    assert await profiles.find(bare) == Profile(bare, "Bea")
    assert await sessions.credentials(email) == Credentials(whole, None), "no password"
    jobs = await admin.fetch(
        """SELECT user_id, kind, zone, due_at FROM scheduler.jobs
        WHERE user_id = ANY ($1) AND kind < 4""",
        [whole, bare],
    )
    assert {tuple(job) for job in jobs} == {
        (user, kind, zone, NIGHT)
        for user, zone in ((whole, "Europe/Zurich"), (bare, ""))
        for kind in (1, 2, 3)
    }


async def test_repeating_changes_nothing(
    profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    first = await profiles.create("b", [person("1"), person("2")], NOW, NIGHT)
    await admin.execute("UPDATE scheduler.jobs SET due_at = 'infinity'")
    again = [person("3"), person("2", name="Other"), person("1")]
    second = await profiles.create("b", again, NOW, NIGHT)
    assert second.created == 1
    assert second.user_ids[1:] == first.user_ids[::-1]
    found = await profiles.find(first.user_ids[1])
    assert found is not None
    assert found.name == "Bea"
    due = await admin.fetch("SELECT DISTINCT user_id FROM scheduler.jobs WHERE due_at < 'infinity'")
    assert [row["user_id"] for row in due] == [second.user_ids[0]]


async def test_another_source_is_other_people(profiles: PostgresProfiles) -> None:
    one = await profiles.create("c", [person("1")], NOW, NIGHT)
    other = await profiles.create("d", [person("1")], NOW, NIGHT)
    assert other.created == 1
    assert one.user_ids != other.user_ids


async def test_an_email_of_somebody_else_stores_nothing(
    sessions: PostgresSessions, profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    people = [person("1"), person("2", member.email), person("3")]
    with pytest.raises(AlreadyExists) as refusal:
        await profiles.create("e", people, NOW, NIGHT)
    assert [fault.field for fault in refusal.value.fields] == ["accounts[1].email"]
    assert not await admin.fetchval("SELECT count(*) FROM accounts.users WHERE source = 'e'")


async def test_the_same_import_twice_at_once(profiles: PostgresProfiles) -> None:
    people = [person(str(number)) for number in range(50)]
    imports = await asyncio.gather(
        profiles.create("f", people, NOW, NIGHT), profiles.create("f", people[::-1], NOW, NIGHT)
    )
    assert sum(imported.created for imported in imports) == 50
    assert imports[0].user_ids == imports[1].user_ids[::-1]
