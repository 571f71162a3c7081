"""Signing up and in, profiles: what the app does first."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.people import PASSWORD, WHOLE, Person, refused, sign_up, succeeded
from tests.support.waiting import within_a_second


@pytest.fixture
async def ana(gateway: httpx.AsyncClient) -> Person:
    return await sign_up(gateway)


async def test_register_signs_in(ana: Person) -> None:
    profile = (await ana.get("/users/profile"))["profile"]
    assert (profile["userId"], profile["email"], profile["name"]) == (ana.user_id, ana.email, "Ana")


async def test_an_address_is_registered_once_whatever_its_case(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    body = {"email": ana.email.upper(), "password": PASSWORD, "name": "Eva"}
    refused(await gateway.post("/auth/register", json=body), 409, "ALREADY_EXISTS", "email")


async def test_log_in(gateway: httpx.AsyncClient, ana: Person) -> None:
    body = {"email": ana.email, "password": PASSWORD}
    answer = succeeded(await gateway.post("/auth/login", json=body))
    assert answer["userId"] == ana.user_id
    assert answer.keys() == {"success", "userId", "token", "refreshToken"}


async def test_a_wrong_password_and_a_stranger_are_told_the_same(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    wrong = await gateway.post("/auth/login", json={"email": ana.email, "password": "not this one"})
    stranger = await gateway.post(
        "/auth/login", json={"email": "nobody@eros.example", "password": "not this one"}
    )
    first = refused(wrong, 401, "UNAUTHENTICATED")
    second = refused(stranger, 401, "UNAUTHENTICATED")
    assert first["message"] == second["message"]


async def test_refresh_rotates_and_reuse_ends_the_family(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    first = {"refreshToken": ana.refresh_token}
    answer = succeeded(await gateway.post("/auth/refresh", json=first))
    assert answer.keys() == {"success", "token", "refreshToken"}
    refused(await gateway.post("/auth/refresh", json=first), 401, "UNAUTHENTICATED")
    second = {"refreshToken": answer["refreshToken"]}
    refused(await gateway.post("/auth/refresh", json=second), 401, "UNAUTHENTICATED")


async def test_logout_is_known_everywhere_within_a_second(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    await ana.get("/activity/status")
    succeeded(await ana.call("POST", "/auth/logout"))
    # By each service that serves people, and by Envoy, which answers heartbeats itself.
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/users/profile", None),
        ("GET", "/activity/status", None),
        ("GET", "/matches/daily", None),
        ("POST", "/assistant/chat", {"message": "hello"}),
        ("POST", "/heartbeat", {"appActive": True, "screenOn": True}),
    ]

    async def are_refused() -> bool:
        answers = [await ana.call(*ask) for ask in asked]
        return all(answer.status_code == 401 for answer in answers)

    await within_a_second(are_refused)
    for ask in asked:
        refused(await ana.call(*ask), 401, "UNAUTHENTICATED")
    refused(
        await gateway.post("/auth/refresh", json={"refreshToken": ana.refresh_token}),
        401,
        "UNAUTHENTICATED",
    )


async def test_a_profile_is_stored_whole_and_an_absent_field_stays(ana: Person) -> None:
    stored = await ana.save(**WHOLE)
    assert {key: stored[key] for key in WHOLE} == WHOLE
    await ana.save(bio="Another one.")
    again = (await ana.get("/users/profile"))["profile"]
    assert again == {**stored, "bio": "Another one."}


async def test_an_empty_list_clears(ana: Person) -> None:
    await ana.save(**WHOLE)
    stored = await ana.save(photos=[])
    assert stored["photos"] == []
    assert stored["interests"] == WHOLE["interests"]


async def test_others_see_no_address_and_no_exact_place(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    await ana.save(**WHOLE)
    other = await sign_up(gateway, "Leo")
    profile = (await other.get(f"/users/{ana.user_id}/profile"))["profile"]
    assert (profile["name"], profile["age"], profile["city"]) == ("Ana", 30, "Madrid")
    assert not {"email", "location", "preferences", "birthYear"} & profile.keys()


async def test_a_changed_profile_is_seen_by_others_at_once(
    gateway: httpx.AsyncClient, ana: Person
) -> None:
    other = await sign_up(gateway, "Leo")
    for name in ("Ana Maria", "Ana"):
        await ana.save(name=name)
        seen = (await other.get(f"/users/{ana.user_id}/profile"))["profile"]
        assert seen["name"] == name


async def test_nobody_is_not_found(ana: Person) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    refused(await ana.call("GET", f"/users/{nobody}/profile"), 404, "NOT_FOUND")
    refused(await ana.call("GET", "/users/me/profile"), 400, "INVALID_ARGUMENT", "userId")
