"""Whatever is wrong with a request: a 4xx in the one shape that names the field; nothing stored."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from tests.support.people import PASSWORD, WHOLE, Person, refused, sign_up

Gateway = httpx.AsyncClient


@pytest.fixture(scope="session")
async def ana(gateway: Gateway) -> Person:
    return await sign_up(gateway, "Ana", **WHOLE)


def with_location(**changes: Any) -> dict[str, Any]:
    return {"location": {**WHOLE["location"], **changes}}  # type: ignore[dict-item]


def with_preferences(**changes: Any) -> dict[str, Any]:
    return {"preferences": {**WHOLE["preferences"], **changes}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"age": 12}, "age"),
        ({"age": 17}, "age"),
        ({"age": 400}, "age"),
        ({"name": ""}, "name"),
        ({"name": "🙂🙃"}, "name"),
        ({"name": "a" * 81}, "name"),
        ({"name": "A\u0000na"}, "name"),
        ({"bio": "b" * 2001}, "bio"),
        ({"photos": ["no url"]}, "photos[0]"),
        ({"photos": ["https://img.example/1.jpg", "javascript:alert(1)"]}, "photos[1]"),
        ({"photos": [7]}, "photos[0]"),
        ({"photos": ["https://img.example/1.jpg"] * 13}, "photos"),
        ({"interests": ["chess"] * 10_000}, "interests"),
        ({"interests": [None]}, "interests[0]"),
        ({"interests": ["x" * 61]}, "interests[0]"),
        ({"gender": "unknown"}, "gender"),
        (with_location(lat=91), "location.lat"),
        (with_location(timeZone="Mars/Olympus"), "location.timeZone"),
        ({"location": {"city": "Madrid", "lat": 40.0}}, "location.lon"),
        (with_preferences(genders=["dragon"]), "preferences.genders[0]"),
        (with_preferences(ageMin=40, ageMax=20), "preferences"),
        (with_preferences(ageMin=12), "preferences.ageMin"),
        (with_preferences(maxDistanceKm=-1), "preferences.maxDistanceKm"),
    ],
)
async def test_a_faulty_profile_is_refused_and_nothing_of_it_is_stored(
    ana: Person, fields: dict[str, Any], named: str
) -> None:
    before = await ana.get("/users/profile")
    answer = await ana.call("PUT", "/users/profile", {"bio": "stored?", **fields})
    refused(answer, 400, "INVALID_ARGUMENT", named)
    assert await ana.get("/users/profile") == before


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email": "no address"}, "email"),
        ({"email": ""}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "p" * 201}, "password"),
        ({"name": "  "}, "name"),
        ({"name": "🔥🔥🔥"}, "name"),
    ],
)
async def test_a_faulty_registration_makes_no_account(
    gateway: Gateway, body: dict[str, str], named: str
) -> None:
    whole = {"email": f"{uuid.uuid4()}@eros.example", "password": PASSWORD, "name": "Ana"}
    answer = await gateway.post("/auth/register", json=whole | body)
    refused(answer, 400, "INVALID_ARGUMENT", named)
    login = {"email": whole["email"], "password": whole["password"]}
    refused(await gateway.post("/auth/login", json=login), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/heartbeat", b"{"),
        ("POST", "/heartbeat", b"[]"),
        ("POST", "/heartbeat", b'"yes"'),
        ("POST", "/heartbeat", b'{"appActive": "maybe"}'),
        ("PUT", "/users/profile", b'{"age": "old"}'),
        ("PUT", "/users/profile", b'{"age": 30.5}'),
        ("PUT", "/users/profile", b'{"photos": "one"}'),
        ("PUT", "/users/profile", b'{"location": []}'),
        ("PUT", "/users/profile", b"\xff\xfe"),
    ],
)
async def test_what_is_no_such_json_is_refused(
    ana: Person, method: str, path: str, content: bytes
) -> None:
    before = await ana.get("/users/profile")
    headers = {"authorization": f"Bearer {ana.token}", "content-type": "application/json"}
    answer = await ana.http.request(method, path, content=content, headers=headers)
    refused(answer, 400, "INVALID_ARGUMENT")
    assert await ana.get("/users/profile") == before


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/matches/recommendations?limit=100000", "limit"),
        ("/matches/recommendations?limit=0", "limit"),
        ("/matches/recommendations?limit=-1", "limit"),
        ("/matches/daily/2026-02-30", "date"),
        ("/matches/daily/tomorrow", "date"),
        ("/matches/daily/2026-13-01", "date"),
        ("/users/someone/profile", "userId"),
    ],
)
async def test_a_faulty_address_is_refused(ana: Person, path: str, named: str) -> None:
    refused(await ana.call("GET", path), 400, "INVALID_ARGUMENT", named)


@pytest.mark.parametrize(
    "path", ["/matches/recommendations?limit=many", "/matches/recommendations?colour=red"]
)
async def test_a_faulty_query_is_refused(ana: Person, path: str) -> None:
    refused(await ana.call("GET", path), 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("action", ["love", "", "LIKE"])
async def test_an_unknown_action_is_refused(ana: Person, action: str) -> None:
    path = f"/matches/{uuid.uuid4()}/action"
    answer = await ana.call("POST", path, {"action": action})
    refused(answer, 400, "INVALID_ARGUMENT", "action")


async def test_a_megabyte_and_a_half_is_too_large(ana: Person) -> None:
    # Small enough for the sockets to hold: this client reads no answer before it has sent all. Five
    # megabytes are tried in tests/integration/gateway/test_bodies.py.
    answer = await ana.call("PUT", "/users/profile", {"bio": "b" * 1_500_000})
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", ["/nothing", "/users", "/users/profile/", "/USERS/PROFILE"])
async def test_an_unknown_path_is_not_found(ana: Person, path: str) -> None:
    refused(await ana.call("GET", path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/heartbeat", {"POST"}),
        ("POST", "/users/profile", {"GET", "PUT"}),
        ("PUT", "/matches/daily", {"GET"}),
        ("GET", "/auth/login", {"POST"}),
    ],
)
async def test_another_method_is_told_which_are_allowed(
    ana: Person, method: str, path: str, allowed: set[str]
) -> None:
    answer = await ana.call(method, path)
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert allowed <= {name.strip() for name in answer.headers["allow"].split(",")}


async def test_unknown_fields_are_ignored(ana: Person) -> None:
    profile = await ana.save(colour="red")
    assert "colour" not in profile
