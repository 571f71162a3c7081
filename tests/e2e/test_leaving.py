"""Blocks, mutual likes, taking one's data along, leaving for good: over HTTP, in the whole mesh."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from eros_cli.mesh.mesh import Mesh
from tests.support.people import PASSWORD, WHOLE, Person, refused, sign_up, succeeded
from tests.support.traces import until_gone, until_no_keys

_places = itertools.count()
HIS = {**WHOLE, "gender": "male", "preferences": {"genders": ["female"], "maxDistanceKm": 100}}


@pytest.fixture(scope="module")
async def database(mesh: Mesh) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(mesh.environment()["DATABASE_URL"])
    yield connection
    await connection.close()


async def pair_in(gateway: httpx.AsyncClient, city: str) -> tuple[Person, Person]:
    """Two people who are shown each other, far from everybody else."""
    lat = -75.0 + 5 * next(_places)
    place = {"location": {"city": city, "lat": lat, "lon": -120.0, "timeZone": "UTC"}}
    her = await sign_up(gateway, "Ida", **(WHOLE | place))
    him = await sign_up(gateway, "Jon", **(HIS | place))
    return her, him


async def match_of(person: Person, other: Person) -> str:
    """The id of the match by which one is shown the other."""
    async with asyncio.timeout(40):
        while True:
            for match in (await person.get("/matches/daily"))["matches"]:
                if match["userId"] == other.user_id:
                    return str(match["matchId"])
            # Who is new is known to the preview a few seconds later.
            await asyncio.sleep(0.1)


async def like(person: Person, other: Person) -> None:
    path = f"/matches/{await match_of(person, other)}/action"
    succeeded(await person.call("POST", path, {"action": "like"}))


async def test_mutual_likes_and_blocks(gateway: httpx.AsyncClient) -> None:
    her, him = await pair_in(gateway, "Aland")
    await like(her, him)
    assert (await him.get("/matches/mutual"))["matches"] == []
    await like(him, her)
    (match,) = (await him.get("/matches/mutual?limit=1"))["matches"]
    assert (match["userId"], match["name"], match["distanceKm"]) == (her.user_id, "Ida", 0)
    assert "nextPageToken" not in await her.get("/matches/mutual")

    block = f"/users/{her.user_id}/block"
    for _ in range(2):
        succeeded(await him.call("PUT", block))
    refused(await him.call("GET", f"/users/{her.user_id}/profile"), 404, "NOT_FOUND")
    refused(await her.call("GET", f"/users/{him.user_id}/profile"), 404, "NOT_FOUND")
    assert (await her.get("/matches/mutual"))["count"] == 0
    assert all(m["userId"] != him.user_id for m in (await her.get("/matches/daily"))["matches"])
    # She cannot take back what is not hers.
    succeeded(await her.call("DELETE", f"/users/{him.user_id}/block"))
    assert (await her.get("/matches/mutual"))["count"] == 0
    succeeded(await him.call("DELETE", block))
    assert (await her.get("/matches/mutual"))["count"] == 1


async def test_faulty_blocks_and_pages(gateway: httpx.AsyncClient) -> None:
    person = await sign_up(gateway, "Kim")
    mine = await person.call("PUT", f"/users/{person.user_id}/block")
    refused(mine, 400, "INVALID_ARGUMENT", "userId")
    refused(await person.call("PUT", f"/users/{uuid.uuid4()}/block"), 404, "NOT_FOUND")
    refused(await person.call("PUT", "/users/me/block"), 400, "INVALID_ARGUMENT", "userId")
    page = await person.call("GET", "/matches/mutual?pageToken=abc")
    refused(page, 400, "INVALID_ARGUMENT", "pageToken")
    refused(await person.call("GET", "/matches/mutual?limit=51"), 400, "INVALID_ARGUMENT", "limit")


async def test_an_export_has_everything_but_secrets(gateway: httpx.AsyncClient) -> None:
    her, him = await pair_in(gateway, "Bornholm")
    await like(her, him)
    answer = await her.get("/users/profile/export")
    assert answer["userId"] == her.user_id
    data = answer["data"]
    assert data.keys() >= {"accounts", "activity", "matcher", "scheduler"}
    assert data["accounts"]["account"]["email"] == her.email
    assert data["accounts"]["profile"]["bio"] == WHOLE["bio"]
    assert data["matcher"]["actions"][0]["action"] == "like"
    assert data["activity"]["lastInteraction"]
    text = json.dumps(answer)
    assert "argon2" not in text
    assert "hash" not in text


async def test_a_deleted_account_is_nowhere(
    mesh: Mesh, gateway: httpx.AsyncClient, database: asyncpg.Connection
) -> None:
    her, him = await pair_in(gateway, "Corsica")
    await like(her, him)
    await like(him, her)
    asked = time.monotonic()
    await her.get("/users/profile")
    await him.get(f"/users/{her.user_id}/profile")
    # Until activity has heard of that: what comes after she left stays for a minute.
    async with asyncio.timeout(20):
        while (await her.get("/activity/status"))["idleTime"] > time.monotonic() - asked:
            await asyncio.sleep(0.01)
    succeeded(await her.call("DELETE", "/users/profile"))

    login = {"email": her.email, "password": PASSWORD}
    refused(await gateway.post("/auth/login", json=login), 401, "UNAUTHENTICATED")
    refresh = {"refreshToken": her.refresh_token}
    refused(await gateway.post("/auth/refresh", json=refresh), 401, "UNAUTHENTICATED")
    # Within a second, but on a busy machine.
    async with asyncio.timeout(20):
        while (await her.call("GET", "/activity/status")).status_code != 401:
            await asyncio.sleep(0.01)
    refused(await him.call("GET", f"/users/{her.user_id}/profile"), 404, "NOT_FOUND")
    assert (await him.get("/matches/mutual"))["count"] == 0
    assert all(m["userId"] != her.user_id for m in (await him.get("/matches/daily"))["matches"])

    await until_gone(database, her.user_id)
    async with Redis.from_url(mesh.environment()["REDIS_URL"]) as valkey:
        await until_no_keys(valkey, her.user_id)
    # The address is free again, for a new person.
    body = {**login, "name": "Ida"}
    assert succeeded(await gateway.post("/auth/register", json=body))["userId"] != her.user_id


async def test_leaving_wants_a_token_and_happens_once(gateway: httpx.AsyncClient) -> None:
    refused(await gateway.delete("/users/profile"), 401, "UNAUTHENTICATED")
    person = await sign_up(gateway, "Lea")
    answers = await asyncio.gather(*(person.call("DELETE", "/users/profile") for _ in range(3)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {401, 404}
