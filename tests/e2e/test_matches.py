"""What a person finds, and what they say of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from tests.support.people import WHOLE, Person, refused, sign_up, succeeded

MADRID = (City("Madrid", 40.42, -3.70, "Europe/Madrid", 1, 5.0),)
_TRIES = 300


@pytest.fixture(scope="module")
async def crowd(mesh: Mesh) -> AsyncIterator[None]:
    """Two hundred people of one city who were there just now."""
    people = (
        accounts_pb2.ImportedAccount(
            external_id=str(number), profile=demo.profile(Random(number), MADRID)
        )
        for number in range(200)
    )
    async with open_operator(mesh.environment()) as operator:
        loaded = await load_people(operator.accounts, "crowd", people)
        await touch(operator.activity, dict.fromkeys(loaded.zones))
        yield


@pytest.fixture
async def ana(crowd: None, gateway: httpx.AsyncClient) -> Person:  # noqa: ARG001
    return await sign_up(gateway, "Ana", **WHOLE)


async def daily(person: Person) -> dict[str, Any]:
    """The daily answer once it has matches: a preview needs who is there to be known."""
    for _ in range(_TRIES):
        answer = await person.get("/matches/daily")
        if answer["matches"]:
            return answer
    pytest.fail(f"nobody was found: {answer}")


async def test_nobody_sees_an_empty_app(ana: Person) -> None:
    answer = await daily(ana)
    assert answer["source"] in ("preview", "database", "cache")
    for match in answer["matches"]:
        assert match.keys() >= {"matchId", "userId", "name", "age", "photos", "score", "reasons"}
        assert 20 <= match["age"] <= 50
        assert match["distanceKm"] <= 100
        assert 0 < match["score"] < 1
        assert match["reasons"]
        assert match["userId"] != ana.user_id


async def test_the_same_list_is_found_again(ana: Person) -> None:
    first = await daily(ana)
    again = await daily(ana)
    assert again["matches"] == first["matches"]
    by_date = await ana.get(f"/matches/daily/{first['date']}")
    assert by_date["matches"] == first["matches"]
    assert by_date["count"] == len(first["matches"])
    assert (await ana.get("/matches/daily/2020-01-01"))["count"] == 0


async def test_recommendations_keep_their_limit(ana: Person) -> None:
    await daily(ana)
    few = await ana.get("/matches/recommendations?limit=3")
    assert few["count"] == len(few["recommendations"]) <= 3
    usual = await ana.get("/matches/recommendations")
    assert usual["count"] == len(usual["recommendations"]) <= 10


async def test_who_is_not_in_the_market_is_told_what_to_fill_in(gateway: httpx.AsyncClient) -> None:
    nobody = await sign_up(gateway, "Eva")
    for path in ("/matches/daily", "/matches/recommendations"):
        answer = await nobody.get(path)
        assert not answer.get("matches")
        assert not answer.get("recommendations")
        assert all(word in answer["message"] for word in ("age", "gender"))


async def test_an_action_may_be_repeated_and_replaced(ana: Person) -> None:
    match = (await daily(ana))["matches"][0]
    path = f"/matches/{match['matchId']}/action"
    for action in ("view", "like", "like", "skip"):
        answer = succeeded(await ana.call("POST", path, {"action": action}))
        assert answer["message"]


async def test_only_ones_own_match_can_be_acted_on(ana: Person, gateway: httpx.AsyncClient) -> None:
    match = (await daily(ana))["matches"][0]
    other = await sign_up(gateway, "Mia", **WHOLE)
    path = f"/matches/{match['matchId']}/action"
    refused(await other.call("POST", path, {"action": "like"}), 404, "NOT_FOUND")
    nothing = "/matches/00000000-0000-4000-8000-000000000000/action"
    refused(await ana.call("POST", nothing, {"action": "like"}), 404, "NOT_FOUND")


async def test_who_was_reported_is_never_seen_again(ana: Person) -> None:
    match = (await daily(ana))["matches"][0]
    path = f"/matches/{match['matchId']}/action"
    succeeded(await ana.call("POST", path, {"action": "report"}))
    for path in ("/matches/daily", "/matches/recommendations?limit=50"):
        answer = await ana.get(path)
        shown = answer.get("matches", []) + answer.get("recommendations", [])
        assert match["userId"] not in {person["userId"] for person in shown}


async def test_a_mutual_like_says_so(gateway: httpx.AsyncClient) -> None:
    """Two people on an island, so that each must be shown to the other."""
    island = {"city": "Ponta Delgada", "lat": 37.74, "lon": -25.67, "timeZone": "Atlantic/Azores"}
    wishes = {"ageMin": 25, "ageMax": 35, "maxDistanceKm": 40}
    common = WHOLE | {"age": 30, "location": island}
    eva, leo = [
        await sign_up(
            gateway,
            name,
            **common | {"gender": gender, "preferences": {**wishes, "genders": [sought]}},
        )
        for name, gender, sought in (("Eva", "female", "male"), ("Leo", "male", "female"))
    ]
    said = []
    for person, other in ((eva, leo), (leo, eva)):
        (match,) = (await daily(person))["matches"]
        assert match["userId"] == other.user_id
        path = f"/matches/{match['matchId']}/action"
        answer = await person.call("POST", path, {"action": "like"})
        said.append(succeeded(answer)["message"].lower())
    assert "mutual" not in said[0]
    assert "mutual" in said[1] or "each other" in said[1]
