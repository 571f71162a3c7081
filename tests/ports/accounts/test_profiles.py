from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eros_accounts.domain.profile import Gender, Place, Preferences, Profile, ProfileChange
from eros_accounts.store_profiles import PostgresProfiles
from eros_accounts.store_sessions import PostgresSessions
from eros_common.errors import DeadlineExceeded, Unavailable
from eros_common.ids import UserId, new_user_id
from tests.ports.accounts.people import NIGHT, NOW, register

WHOLE = ProfileChange(
    name="Bea",
    bio="one\ntwo",
    photos=("https://a.example/1", "https://a.example/2"),
    interests=("chess", "🎻"),
    birth_year=1990,
    gender=Gender.FEMALE,
    place=Place("Zürich", 47.4, 8.5, "Europe/Zurich"),
    preferences=Preferences((Gender.MALE, Gender.NONBINARY), 30, 40, 25.5),
)


def stays() -> bool:
    """Whoever asked still waits."""
    return False


def applied(profile: Profile, change: ProfileChange) -> Profile:
    """What a change is, said without SQL."""
    given_fields = {
        name: value
        for name in ProfileChange.__slots__
        if (value := getattr(change, name)) is not None
    }
    return replace(profile, version=profile.version + 1, **given_fields)


async def test_a_new_profile_has_a_name_and_an_email(
    sessions: PostgresSessions, profiles: PostgresProfiles
) -> None:
    member = await register(sessions, name="Ann")
    assert await profiles.find(member.user_id) == Profile(member.user_id, "Ann", member.email)


async def test_what_nobody_waits_for_is_not_saved(
    sessions: PostgresSessions, profiles: PostgresProfiles
) -> None:
    member = await register(sessions)
    before = await profiles.find(member.user_id)
    with pytest.raises(DeadlineExceeded):
        await profiles.save(member.user_id, WHOLE, NOW, NIGHT, lambda: True)
    assert await profiles.find(member.user_id) == before


async def test_nobody_has_no_profile(profiles: PostgresProfiles) -> None:
    assert await profiles.find(new_user_id()) is None
    assert await profiles.save(new_user_id(), WHOLE, NOW, NIGHT, stays) is None


places = st.builds(
    Place,
    city=st.sampled_from(["", "Bern"]),
    lat=st.just(46.9),
    lon=st.just(7.4),
    time_zone=st.sampled_from(["", "Europe/Zurich"]),
)
changes = st.builds(
    ProfileChange,
    name=st.none() | st.sampled_from(["Ann", "Bea"]),
    bio=st.none() | st.sampled_from(["", "hello"]),
    photos=st.none() | st.sampled_from([(), ("https://a.example/1",)]),
    interests=st.none() | st.sampled_from([(), ("a", "b")]),
    birth_year=st.none() | st.integers(1920, 2008),
    gender=st.none() | st.sampled_from(list(Gender)),
    place=st.none() | st.just(Place()) | places,
    preferences=st.none()
    | st.builds(
        Preferences,
        genders=st.lists(st.sampled_from(list(Gender)), unique=True).map(tuple),
        age_min=st.none() | st.integers(18, 40),
        age_max=st.none() | st.integers(40, 120),
        max_distance_km=st.none() | st.floats(0.5, 20_000),
    ),
)


async def test_saves_change_what_they_name_and_nothing_else(
    sessions: PostgresSessions, profiles: PostgresProfiles
) -> None:
    member = await register(sessions)
    expected = await profiles.find(member.user_id)
    assert expected is not None
    drawn: list[ProfileChange] = [WHOLE]

    @given(changes)
    def draw(change: ProfileChange) -> None:
        drawn.append(change)

    draw()
    for change in drawn:
        expected = applied(expected, change)
        assert await profiles.save(member.user_id, change, NOW, NIGHT, stays) == expected
        assert await profiles.find(member.user_id) == expected


async def test_a_save_marks_analyze_due_in_the_zone_of_the_profile(
    sessions: PostgresSessions, profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    done = NIGHT + timedelta(days=1)
    await admin.execute(
        "UPDATE scheduler.jobs SET due_at = $2 WHERE user_id = $1", member.user_id, done
    )
    await profiles.save(member.user_id, WHOLE, NOW, NIGHT + timedelta(hours=1), stays)
    jobs = await admin.fetch(
        """SELECT kind, zone, due_at FROM scheduler.jobs
        WHERE user_id = $1 AND kind < 4 ORDER BY kind""",
        member.user_id,
    )
    assert [tuple(job) for job in jobs] == [
        (1, "Europe/Zurich", NIGHT + timedelta(hours=1)),
        (2, "Europe/Zurich", done),
        (3, "Europe/Zurich", done),
    ]


async def test_a_save_and_its_mark_are_one_transaction(
    sessions: PostgresSessions, profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    """While somebody holds the job rows, the profile is not changed for others either."""
    member = await register(sessions)
    await admin.execute(
        "UPDATE scheduler.jobs SET due_at = 'infinity' WHERE user_id = $1", member.user_id
    )
    holding = admin.transaction()
    await holding.start()
    await admin.execute(
        "SELECT 1 FROM scheduler.jobs WHERE user_id = $1 FOR UPDATE", member.user_id
    )
    save = asyncio.create_task(profiles.save(member.user_id, WHOLE, NOW, NIGHT, stays))
    while not await admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not save.done()
    found = await profiles.find(member.user_id)
    assert found is not None
    assert found.name == "Ann"
    await holding.rollback()
    saved = await save
    assert saved is not None
    assert saved.name == "Bea"


async def test_saves_at_once_all_count(
    sessions: PostgresSessions, profiles: PostgresProfiles
) -> None:
    member = await register(sessions)
    saved = await asyncio.gather(
        *(
            profiles.save(member.user_id, ProfileChange(bio=str(number)), NOW, NIGHT, stays)
            for number in range(10)
        )
    )
    versions = [profile.version for profile in saved if profile is not None]
    assert sorted(versions) == list(range(2, 12))


async def test_many_are_found_at_once_and_unknown_ones_left_out(
    sessions: PostgresSessions, profiles: PostgresProfiles
) -> None:
    members = [await register(sessions) for _ in range(3)]
    ids: list[UserId] = [member.user_id for member in members]
    found = await profiles.find_many([*ids, new_user_id()])
    assert {profile.user_id for profile in found} == set(ids)


async def test_a_connection_that_dies_is_unavailable_and_the_next_one_serves(
    sessions: PostgresSessions, profiles: PostgresProfiles, admin: asyncpg.Connection
) -> None:
    member = await register(sessions)
    holding = admin.transaction()
    await holding.start()
    await admin.execute(
        "SELECT 1 FROM accounts.profiles WHERE user_id = $1 FOR UPDATE", member.user_id
    )
    save = asyncio.create_task(profiles.save(member.user_id, WHOLE, NOW, NIGHT, stays))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"
    while not await admin.fetch(kill):
        assert not save.done()
    with pytest.raises(Unavailable):
        await save
    await holding.rollback()
    found = await profiles.find(member.user_id)
    assert found is not None
    assert found.version == 1
