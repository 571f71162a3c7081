"""Signs of life, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from tests.support.people import Person, refused, sign_up, succeeded
from tests.support.waiting import within_a_second

ACTIVE = {"appActive": True, "screenOn": True}
#: Answered by the service, so that it is in the store by then.
STORED = {"appActive": True}


@pytest.fixture
async def ana(gateway: httpx.AsyncClient) -> Person:
    return await sign_up(gateway)


async def test_a_heartbeat_is_an_interaction(ana: Person) -> None:
    answer = succeeded(await ana.call("POST", "/heartbeat", ACTIVE))
    assert answer.keys() == {"success", "idleTime", "processingPhase", "timestamp"}
    assert (answer["idleTime"], answer["processingPhase"]) == (0, 0)
    said = datetime.fromisoformat(answer["timestamp"])
    assert abs((datetime.now(UTC) - said).total_seconds()) < 30


@pytest.mark.parametrize("away", [{"appActive": False}, {"screenOn": False}])
async def test_a_heartbeat_from_the_background_only_reports(
    ana: Person, away: dict[str, bool]
) -> None:
    succeeded(await ana.call("POST", "/heartbeat", STORED))
    first = succeeded(await ana.call("POST", "/heartbeat", ACTIVE | away))
    second = succeeded(await ana.call("POST", "/heartbeat", ACTIVE | away))
    assert 0 <= first["idleTime"] < second["idleTime"]


async def test_a_heartbeat_is_ones_own(gateway: httpx.AsyncClient, ana: Person) -> None:
    other = await sign_up(gateway, "Leo")
    succeeded(await ana.call("POST", "/heartbeat", ACTIVE | {"userId": ana.user_id}))
    foreign = await ana.call("POST", "/heartbeat", ACTIVE | {"userId": other.user_id})
    refused(foreign, 403, "PERMISSION_DENIED")


async def test_status_is_no_interaction(ana: Person) -> None:
    succeeded(await ana.call("POST", "/heartbeat", STORED))
    first = await ana.get("/activity/status")
    second = await ana.get("/activity/status")
    assert first["userId"] == ana.user_id
    assert first["lastInteraction"] == second["lastInteraction"]
    assert second["idleTime"] > first["idleTime"]
    assert second["sessionDuration"] >= 0


async def test_any_request_of_a_signed_in_person_is_an_interaction(ana: Person) -> None:
    before = (await ana.get("/activity/status")).get("lastInteraction", "")
    await ana.get("/users/profile")
    # The access log tells the activity service a few milliseconds later.
    for _ in range(200):
        after = (await ana.get("/activity/status")).get("lastInteraction", "")
        if after > before:
            return
    pytest.fail("the request never became an interaction")


async def test_a_background_request_is_none(ana: Person) -> None:
    succeeded(await ana.call("POST", "/heartbeat", STORED))
    seen = (await ana.get("/activity/status"))["lastInteraction"]
    ana.headers["x-eros-background"] = "1"
    await ana.get("/users/profile")
    # A later interaction of somebody else, once seen, proves that the log got past ours.
    other = await sign_up(ana.http, "Leo")
    await test_any_request_of_a_signed_in_person_is_an_interaction(other)
    assert (await ana.get("/activity/status"))["lastInteraction"] == seen


async def test_stats_are_for_admins(mesh: Mesh, gateway: httpx.AsyncClient, ana: Person) -> None:
    refused(await ana.call("GET", "/activity/stats"), 403, "PERMISSION_DENIED")
    async with open_operator(mesh.environment()) as operator:
        await operator.accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=ana.email))
    fresh = await gateway.post("/auth/refresh", json={"refreshToken": ana.refresh_token})
    ana.token = succeeded(fresh)["token"]
    stats = (await ana.get("/activity/stats"))["stats"]
    assert stats["knownUsers"] >= 1
    asleep = sum(stats[phase] for phase in ("phase1", "phase2", "phase3"))
    assert stats["awake"] + asleep == stats["knownUsers"]


async def test_after_logout_heartbeats_are_refused_within_a_second(ana: Person) -> None:
    plain = '{"appActive":true,"screenOn":true}'
    bearer = {"authorization": f"Bearer {ana.token}", "content-type": "application/json"}

    async def beat() -> httpx.Response:
        return await ana.http.post("/heartbeat", content=plain, headers=bearer)

    succeeded(await beat())
    succeeded(await ana.call("POST", "/auth/logout"))

    async def is_refused() -> bool:
        await asyncio.sleep(0.02)
        return (await beat()).status_code != 200

    await within_a_second(is_refused)
    refused(await beat(), 401, "UNAUTHENTICATED")
