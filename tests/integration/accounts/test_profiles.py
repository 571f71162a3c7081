from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from redis.asyncio import Redis

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros_accounts import wire
from eros_accounts.domain.profile import Profile
from eros_accounts.store_database import Database
from eros_accounts.store_profiles import PostgresProfiles
from eros_common.errors import ErrorCode
from eros_common.ids import UserId, new_user_id
from tests.integration.accounts.service import Accounts, Member, Starter, fields, refusal
from tests.support.proxy import Proxy

WHOLE: dict[str, Any] = {
    "name": "Bea",
    "bio": "one\ntwo",
    "photos": ["https://a.example/1.jpg", "http://b.example/2.jpg"],
    "age": 33,
    "location": {"city": "Zürich", "lat": 47.37, "lon": 8.54, "timeZone": "Europe/Zurich"},
    "interests": ["chess", "🎻"],
    "preferences": {"genders": ["male"], "ageMin": 30, "ageMax": 40, "maxDistanceKm": 25.5},
    "gender": "female",
}


async def put(accounts: Accounts, member: Member, body: dict[str, Any]) -> dict[str, Any]:
    """What PUT /users/profile answers."""
    request = ParseDict(body, profile_pb2.UpdateProfileRequest())
    answer = await accounts.stub.UpdateProfile(request, metadata=member.auth)
    assert answer.success
    return MessageToDict(answer.profile)


async def got(accounts: Accounts, member: Member) -> dict[str, Any]:
    return MessageToDict((await accounts.profile(member)).profile)


async def test_what_is_put_is_what_is_got(accounts: Accounts) -> None:
    member = await accounts.register()
    whole = WHOLE | {"userId": str(member.user_id), "email": member.email}
    assert await put(accounts, member, WHOLE) == whole
    assert await got(accounts, member) == whole


async def test_an_absent_field_stays_and_groups_are_replaced_as_a_whole(
    accounts: Accounts,
) -> None:
    member = await accounts.register()
    whole = await put(accounts, member, WHOLE)
    assert await put(accounts, member, {}) == whole
    assert await put(accounts, member, {"bio": ""}) == {
        key: value for key, value in whole.items() if key != "bio"
    }
    changed = await put(
        accounts,
        member,
        {"photos": [], "location": {"city": "Bern"}, "preferences": {"ageMin": 18}},
    )
    assert "photos" not in changed
    assert changed["interests"] == ["chess", "🎻"]
    assert changed["location"] == {"city": "Bern"}
    assert changed["preferences"] == {"ageMin": 18}


async def test_age_is_kept_as_a_birth_year_by_the_night_clock(
    starter: Starter, admin: asyncpg.Connection
) -> None:
    now = datetime.now(UTC)
    night = datetime(2031, 5, 1, tzinfo=UTC)
    async with starter.start(night_epoch=night, night_t0=now) as accounts:
        member = await accounts.register()
        assert (await put(accounts, member, {"age": 18}))["age"] == 18
    year = await admin.fetchval(
        "SELECT birth_year FROM accounts.profiles WHERE user_id = $1", member.user_id
    )
    assert year == 2013
    due = await admin.fetchval(
        "SELECT due_at FROM scheduler.jobs WHERE user_id = $1 AND kind = 1", member.user_id
    )
    assert due.year == 2031


@pytest.mark.parametrize(
    ("body", "faulty"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "🔥"}, ["name"]),
        ({"name": "n" * 81}, ["name"]),
        ({"bio": "b" * 2001}, ["bio"]),
        ({"bio": "nul\x00"}, ["bio"]),
        ({"age": 12}, ["age"]),
        ({"age": 17}, ["age"]),
        ({"age": 121}, ["age"]),
        ({"gender": "other"}, ["gender"]),
        ({"photos": ["https://a.example/1", 7]}, ["photos[1]"]),
        ({"photos": ["photo.jpg"]}, ["photos[0]"]),
        ({"photos": [["https://a.example/1"]]}, ["photos[0]"]),
        ({"photos": [None]}, ["photos[0]"]),
        ({"photos": [{"url": "https://a.example/1"}]}, ["photos[0]"]),
        ({"photos": ["https://a.example/1"] * 13}, ["photos"]),
        ({"interests": ["chess", ""]}, ["interests[1]"]),
        ({"interests": [True]}, ["interests[0]"]),
        ({"interests": ["chess"] * 10_000}, ["interests"]),
        ({"interests": ["i" * 61]}, ["interests[0]"]),
        ({"location": {"lat": 1.0}}, ["location.lon"]),
        ({"location": {"lat": 91.0, "lon": 0.0}}, ["location.lat"]),
        ({"location": {"lat": 0.0, "lon": -181.0}}, ["location.lon"]),
        ({"location": {"lat": "NaN", "lon": 0.0}}, ["location.lat"]),
        ({"location": {"timeZone": "Mars/Olympus"}}, ["location.timeZone"]),
        ({"location": {"city": "c" * 121}}, ["location.city"]),
        ({"preferences": {"genders": ["any"]}}, ["preferences.genders[0]"]),
        ({"preferences": {"genders": ["male", "male"]}}, ["preferences.genders"]),
        ({"preferences": {"ageMin": 17}}, ["preferences.ageMin"]),
        ({"preferences": {"ageMax": 121}}, ["preferences.ageMax"]),
        ({"preferences": {"ageMin": 40, "ageMax": 30}}, ["preferences"]),
        ({"preferences": {"maxDistanceKm": -1}}, ["preferences.maxDistanceKm"]),
        ({"name": "🔥", "photos": [1], "interests": [2]}, ["name", "photos[0]", "interests[0]"]),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_stored(
    accounts: Accounts, body: dict[str, Any], faulty: list[str]
) -> None:
    member = await accounts.register()
    before = await got(accounts, member)
    error = await refusal(put(accounts, member, {"bio": "new"} | body))
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert fields(error) == faulty
    assert await got(accounts, member) == before


async def test_others_see_no_email_no_birth_year_and_no_place(accounts: Accounts) -> None:
    member, other = await accounts.register(), await accounts.register()
    await put(accounts, member, WHOLE)
    assert MessageToDict(await accounts.public(other, member.user_id)) == {
        "userId": str(member.user_id),
        "name": "Bea",
        "bio": "one\ntwo",
        "photos": WHOLE["photos"],
        "age": 33,
        "city": "Zürich",
        "interests": WHOLE["interests"],
        "gender": "female",
    }


async def test_who_is_not_there_is_not_found(accounts: Accounts, admin: asyncpg.Connection) -> None:
    member, gone = await accounts.register(), await accounts.register()
    assert (await refusal(accounts.public(member, new_user_id()))).code is ErrorCode.NOT_FOUND
    assert fields(await refusal(accounts.public(member, "me"))) == ["userId"]
    await admin.execute("DELETE FROM accounts.users WHERE id = $1", gone.user_id)
    for call in (
        accounts.public(member, gone.user_id),
        accounts.profile(gone),
        put(accounts, gone, {"bio": "still there?"}),
    ):
        assert (await refusal(call)).code is ErrorCode.NOT_FOUND


async def test_views_are_read_from_the_cache_and_changes_drop_them(
    accounts: Accounts, redis: Redis, admin: asyncpg.Connection
) -> None:
    member, other = await accounts.register(), await accounts.register()
    keys = f"profile:{member.user_id}", f"profile:public:{member.user_id}"
    await got(accounts, member)
    await accounts.public(other, member.user_id)
    assert await redis.exists(*keys) == 2
    await admin.execute(
        "UPDATE accounts.profiles SET name = 'behind the back' WHERE user_id = $1", member.user_id
    )
    assert (await got(accounts, member))["name"] == "Ann"
    assert (await accounts.public(other, member.user_id)).name == "Ann"
    await put(accounts, member, {"bio": "new"})
    assert await redis.exists(*keys) == 0
    assert (await got(accounts, member))["name"] == "behind the back"
    assert (await accounts.public(other, member.user_id)).bio == "new"
    assert await redis.exists(*keys) == 2


async def test_the_short_way_says_the_same_wherever_it_is_from(
    accounts: Accounts, redis: Redis
) -> None:
    member = await accounts.register()
    await put(accounts, member, {"bio": "new", "age": 30, "location": {"city": "Bilbao"}})
    stored = await accounts.short_profile(member)
    assert await redis.exists(f"profile:{member.user_id}")
    cached = await accounts.short_profile(member)
    assert (stored.status_code, stored.content) == (200, cached.content)
    assert wire.own_of(stored.content) == await accounts.profile(member)
    await accounts.logout(member)
    assert (await accounts.short_profile(member)).status_code == 404


async def test_a_save_that_was_given_up_undoes_no_later_one(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when PostgreSQL opens no connection for a while: the answer was lost long before."""
    member = await accounts.register()
    waits, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    connection, save = Database.connection, PostgresProfiles.save

    @asynccontextmanager
    async def late(self: Database) -> AsyncIterator[Any]:
        if not waits.is_set():
            waits.set()
            await go_on.wait()
        async with connection(self) as opened:
            yield opened

    async def watched(self: PostgresProfiles, *asked: Any) -> Profile | None:
        try:
            return await save(self, *asked)
        finally:
            if go_on.is_set():
                ended.set()

    monkeypatch.setattr(Database, "connection", late)
    monkeypatch.setattr(PostgresProfiles, "save", watched)
    request = ParseDict({"bio": "first"}, profile_pb2.UpdateProfileRequest())
    first = accounts.stub.UpdateProfile(request, metadata=member.auth)
    await waits.wait()
    first.cancel()
    await put(accounts, member, {"bio": "second"})
    go_on.set()
    await ended.wait()
    assert (await got(accounts, member))["bio"] == "second"


class SlowRead:
    """The next read of a profile has its answer, and then waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_read = asyncio.Event()
        self.go_on = asyncio.Event()
        find = PostgresProfiles.find
        slow = self

        async def held(self: PostgresProfiles, user_id: UserId) -> Profile | None:
            found = await find(self, user_id)
            if not slow.has_read.is_set():
                slow.has_read.set()
                await slow.go_on.wait()
            return found

        monkeypatch.setattr(PostgresProfiles, "find", held)


async def test_a_slow_reader_does_not_undo_a_change(
    accounts: Accounts, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await accounts.register()
    slow = SlowRead(monkeypatch)
    reading = asyncio.create_task(got(accounts, member))
    await slow.has_read.wait()
    await put(accounts, member, {"bio": "new"})
    slow.go_on.set()
    assert "bio" not in await reading, "it read before the change"
    assert not await redis.exists(f"profile:{member.user_id}"), "and put nothing back"
    assert (await got(accounts, member))["bio"] == "new"


async def test_a_save_whose_caller_left_still_drops_the_views(
    accounts: Accounts, redis: Redis, admin: asyncpg.Connection
) -> None:
    member = await accounts.register()
    key = f"profile:{member.user_id}"
    await got(accounts, member)
    holding = admin.transaction()
    await holding.start()
    await admin.execute(
        "SELECT 1 FROM accounts.profiles WHERE user_id = $1 FOR UPDATE", member.user_id
    )
    saving = asyncio.create_task(put(accounts, member, {"bio": "new"}))
    while not await admin.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not saving.done()
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    assert await redis.exists(key)
    await holding.rollback()
    async with asyncio.timeout(20):
        while await redis.exists(key):
            pass
    assert (await got(accounts, member))["bio"] == "new"


@pytest.mark.parametrize("fate", ["cut", "freeze"])
async def test_a_cache_that_dies_slows_reads_and_fails_none(
    starter: Starter, valkey_url: str, redis: Redis, fate: str
) -> None:
    async with Proxy.to(valkey_url) as way, starter.start(cache_redis=way.url) as accounts:
        member = await accounts.register()
        key = f"profile:{member.user_id}"
        await got(accounts, member)
        assert await redis.exists(key)
        if fate == "cut":
            await way.cut()
        else:
            way.freeze()
        assert (await got(accounts, member))["name"] == "Ann"
        assert (await put(accounts, member, {"bio": "new"}))["bio"] == "new"
        assert (await accounts.public(member, member.user_id)).bio == "new"
        way.mend()
        # What changed meanwhile is dropped before the cache is asked again.
        cached = b""
        async with asyncio.timeout(10):
            while b'"bio":"new"' not in cached:
                assert (await got(accounts, member))["bio"] == "new"
                data = await redis.get(key)
                assert not isinstance(data, str)
                cached = data or b""


async def test_a_replica_that_ends_while_its_cache_is_away_leaves_nobody_an_old_profile(
    starter: Starter, valkey_url: str
) -> None:
    async with starter.start(cache_drop_seconds=0.05) as other:
        member = await other.register()
        async with (
            Proxy.to(valkey_url) as way,
            starter.start(cache_redis=way.url) as rolled,
        ):
            assert (await got(other, member))["name"] == "Ann"
            await way.cut()
            assert (await put(rolled, member, {"name": "Bea"}))["name"] == "Bea"
        async with asyncio.timeout(20):
            while (await got(other, member))["name"] != "Bea":
                pass
        assert (await other.public(member, member.user_id)).name == "Bea"


async def test_no_cache_at_all(starter: Starter) -> None:
    async with starter.start(cache_redis="redis://127.0.0.1:1") as accounts:
        member = await accounts.register()
        assert (await put(accounts, member, WHOLE))["name"] == "Bea"
        assert (await got(accounts, member))["name"] == "Bea"


async def test_profiles_for_matching_come_many_at_once(accounts: Accounts) -> None:
    members = [await accounts.register() for _ in range(3)]
    await put(accounts, members[0], WHOLE)
    ids = [member.user_id.bytes for member in members]
    request = accounts_pb2.ListMatchingProfilesRequest(user_ids=[*ids, new_user_id().bytes])
    for caller in ("matcher", "worker"):
        answer = await accounts.stub.ListMatchingProfiles(
            request, metadata=accounts.service(caller)
        )
        found = {profile.user_id: profile for profile in answer.profiles}
        assert found.keys() == set(ids)
    whole = MessageToDict(found[ids[0]])
    del whole["userId"]
    expected = {key: value for key, value in WHOLE.items() if key != "age"}
    assert whole == expected | {"birthYear": datetime.now(UTC).year - 33}
    assert MessageToDict(found[ids[1]]).keys() == {"userId", "name", "location", "preferences"}


@pytest.mark.parametrize(
    ("user_ids", "field"),
    [([], "userIds"), ([b"short"], "userIds[0]"), ([bytes(16)] * 1001, "userIds")],
)
async def test_bad_lists_of_people(accounts: Accounts, user_ids: list[bytes], field: str) -> None:
    request = accounts_pb2.ListMatchingProfilesRequest(user_ids=user_ids)
    call = accounts.stub.ListMatchingProfiles(request, metadata=accounts.service("matcher"))
    assert fields(await refusal(call)) == [field]


async def test_profiles_for_matching_are_for_the_matcher(accounts: Accounts) -> None:
    member = await accounts.register()
    request = accounts_pb2.ListMatchingProfilesRequest(user_ids=[member.user_id.bytes])
    for metadata, code in (
        (member.auth, ErrorCode.UNAUTHENTICATED),
        (accounts.service("activity"), ErrorCode.PERMISSION_DENIED),
    ):
        call = accounts.stub.ListMatchingProfiles(request, metadata=metadata)
        assert (await refusal(call)).code is code
