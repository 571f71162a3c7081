"""Heartbeats that Envoy answers itself, and those that it leaves to the activity service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from eros.activity.v1 import activity_pb2
from eros_common.ids import new_user_id
from tests.integration.gateway.edge import API, Edge
from tests.support.waiting import within_a_second

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEARTBEAT = f"{API}/heartbeat"
IN_USE = '{"appActive":true,"screenOn":true}'
#: Everything a client is told besides the moment and the id of the request.
VARY = {"date", "x-request-id", "content-length"}


@pytest.fixture(autouse=True)
def _known(edge: Edge) -> Iterator[None]:
    yield
    edge.logs.ended_unknown = False


def asked(edge: Edge) -> list[str]:
    return [call.method for call in edge.backends.calls]


@pytest.mark.parametrize(
    "body",
    [
        IN_USE,
        '{"screenOn":true,"appActive":true}',
        '{"appActive": true, "screenOn": true}',
        '{"screenOn": true, "appActive": true}',
    ],
)
async def test_in_use_is_answered_without_a_service(edge: Edge, body: str) -> None:
    answer = await edge.call("POST", HEARTBEAT, body)
    told = json.loads(answer.body)
    assert (answer.status, asked(edge)) == (200, [])
    assert told.keys() == {"success", "idleTime", "processingPhase", "timestamp"}
    assert (told["success"], told["idleTime"], told["processingPhase"]) == (True, 0, 0)
    said = datetime.fromisoformat(told["timestamp"])
    assert abs((datetime.now(UTC) - said).total_seconds()) < 30


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "{}",
        '{"appActive":true}',
        '{"appActive":false,"screenOn":true}',
        '{"appActive":true,"screenOn":false}',
        '{"screenOn":true,"screenOn":true}',
        '{"appActive":true,"screenOn":true} ',
        '{"appActive":true,"screenOn":true,"x":1}',
        '{"appActive":True,"screenOn":true}',
    ],
)
async def test_anything_else_is_for_the_service(edge: Edge, body: str | None) -> None:
    answer = await edge.call("POST", HEARTBEAT, body)
    if answer.status == 200:
        assert asked(edge) == ["Heartbeat"]
    else:
        assert answer.error["code"] == "INVALID_ARGUMENT"


async def test_a_named_user_is_for_the_service(edge: Edge) -> None:
    body = {"userId": str(edge.user), "appActive": True, "screenOn": True}
    assert (await edge.call("POST", HEARTBEAT, body)).status == 200
    assert asked(edge) == ["Heartbeat"]


async def test_from_the_background_it_is_for_the_service(edge: Edge) -> None:
    await edge.call("POST", HEARTBEAT, IN_USE, headers={"x-eros-background": "1"})
    assert asked(edge) == ["Heartbeat"]


async def test_both_ways_look_the_same(edge: Edge) -> None:
    now = activity_pb2.HeartbeatResponse(success=True)
    now.timestamp.FromMilliseconds(1_795_694_676_983)
    edge.backends.answers["Heartbeat"] = now
    here = await edge.call("POST", HEARTBEAT, IN_USE, headers={"x-request-id": "here-1"})
    there = await edge.call("POST", HEARTBEAT, "{}", headers={"x-request-id": "there-1"})
    assert asked(edge) == ["Heartbeat"]
    assert here.headers["x-request-id"] == "here-1"
    for one in (here, there):
        assert len(one.body) == int(one.headers["content-length"])
    kept = [{k: v for k, v in one.headers.items() if k not in VARY} for one in (here, there)]
    assert kept[0] == kept[1]
    texts = [one.body.split(b'"timestamp"')[0] for one in (here, there)]
    assert texts[0] == texts[1]
    assert len(here.body) == len(there.body)


@pytest.mark.parametrize(
    "token", ["", "nonsense", "expired"], ids=["none", "not a token", "expired"]
)
async def test_without_a_good_token_nothing_is_answered(edge: Edge, token: str) -> None:
    if token == "expired":
        token = edge.token(lifetime_seconds=-100)
    answer = await edge.call(
        "POST",
        HEARTBEAT,
        IN_USE,
        headers={**({"authorization": f"Bearer {token}"} if token else {}), "x-eros-user": "me"},
        signed_in=False,
    )
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")


async def test_each_is_an_entry_of_the_log(edge: Edge) -> None:
    user = new_user_id()
    bearer = edge.bearer(edge.backends.tokens.user_token(user, session_id="s1"))
    for body in (*[IN_USE] * 5, "{}"):
        await edge.call("POST", HEARTBEAT, body, headers=bearer)

    def own() -> list[dict[str, Any]]:
        return [e.eros for e in edge.logs.entries if e.eros["user"] == str(user)]

    while len(own()) < 6:
        await edge.logs.have(len(edge.logs.entries) + 1)
    *answered, asked_for = own()
    assert [entry["session"] for entry in answered] == ["s1"] * 5
    assert not any(entry["background"] for entry in answered)
    assert asked_for["background"] is True
    assert "session" not in asked_for
    first = answered[0]
    assert [entry["seq"] - first["seq"] for entry in own()] == [*range(6)]
    assert {(e["boot"], e["worker"]) for e in own()} == {(first["boot"], first["worker"])}


async def test_an_ended_session_is_left_to_the_service_within_a_second(edge: Edge) -> None:
    token = edge.bearer(edge.token(session_id="ends"))
    await edge.call("POST", HEARTBEAT, IN_USE, headers=token)
    assert asked(edge) == []
    edge.logs.ended.append("ends")

    async def is_left() -> bool:
        await edge.call("POST", HEARTBEAT, IN_USE, headers=token)
        return bool(asked(edge))

    await within_a_second(is_left)
    # Others are still answered here; and the list is not asked for with each.
    edge.backends.reset()
    edge.logs.asked.clear()
    for _ in range(20):
        await edge.call("POST", HEARTBEAT, IN_USE)
    assert asked(edge) == []
    assert len(edge.logs.asked) < 20
    assert all(known == str(len(edge.logs.ended)) for known in edge.logs.asked)


async def test_without_the_list_nobody_is_answered_here(edge: Edge) -> None:
    edge.logs.ended_unknown = True
    async with asyncio.timeout(20):
        while not asked(edge):
            await edge.call("POST", HEARTBEAT, IN_USE)
    edge.backends.reset()
    assert (await edge.call("POST", HEARTBEAT, IN_USE)).status == 200
    assert asked(edge) == ["Heartbeat"]
