"""How often one address may call, by what it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from eros_common.policy import Limit
from eros_gateway.domain.contract import read_contract
from eros_gateway.domain.limits import limit_of
from tests.integration.gateway.edge import API, Answer, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

Request = tuple[str, str, dict[str, Any] | None]

LOGIN = ("POST", f"{API}/auth/login", {"email": "a@b.example", "password": "long enough"})
REFRESH = ("POST", f"{API}/auth/refresh", {"refreshToken": "r" * 43})
REGISTER = (
    *("POST", f"{API}/auth/register"),
    {"email": "a@b.example", "password": "long enough", "name": "Ana"},
)
EXPORT = ("GET", f"{API}/users/profile/export", None)
DELETE = ("DELETE", f"{API}/users/profile", None)
ASK = ("POST", f"{API}/assistant/ask", {"question": "Where?"})
CHAT = ("POST", f"{API}/assistant/chat", {"message": "Where?"})
SAVE = ("PUT", f"{API}/users/profile", {"bio": "x"})
ACTION, OTHER_ACTION = (
    ("POST", f"{API}/matches/{digit * 8}-2222-4222-8222-222222222222/action", {"action": "like"})
    for digit in "23"
)
PROFILE = ("GET", f"{API}/users/profile", None)
MUTUAL = ("GET", f"{API}/matches/mutual", None)
RECOMMENDED = ("GET", f"{API}/matches/recommendations", None)
HEARTBEAT: Request = ("POST", f"{API}/heartbeat", {})
HEALTH, HEALTH_OF_API = ("GET", "/health", None), ("GET", f"{API}/health", None)
DOCS = ("GET", "/docs", None)

# The limit, how many of its requests may come at once, how long to wait then (seconds), a route of
# it and another, if there is one: what the one has used up the other still has.
TABLE: dict[Limit, tuple[int, str, Request, Request | None]] = {
    Limit.SIGN_IN: (3, "20", LOGIN, REFRESH),
    Limit.REGISTER: (2, "30", REGISTER, None),
    Limit.LEAVE: (2, "30", EXPORT, DELETE),
    Limit.GENERATE: (4, "15", ASK, CHAT),
    Limit.WRITE: (2, "1", SAVE, ACTION),
    Limit.READ: (2, "1", RECOMMENDED, MUTUAL),
    Limit.HEARTBEAT: (2, "1", HEARTBEAT, None),
    Limit.OPEN: (2, "1", HEALTH, DOCS),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    async with open_edge(
        tmp_path_factory.mktemp("edge"),
        rate_per_second=200,
        rate_sign_in_per_minute=3,
        rate_register_per_minute=2,
        rate_leave_per_minute=2,
        rate_generate_per_minute=4,
        rate_write_per_second=1,
        rate_read_per_second=1,
        rate_heartbeat_per_second=1,
        rate_open_per_second=1,
    ) as edge:
        yield edge


async def _send(edge: Edge, request: Request) -> Answer:
    method, path, body = request
    return await edge.call(method, path, body)


async def test_every_route_has_a_limit_that_is_in_the_table(limited: Edge) -> None:
    contract = read_contract(limited.settings.descriptor_set.read_bytes())
    assert {limit_of(method) for method in contract.reachable} == set(Limit) == set(TABLE)


async def _use_up(edge: Edge, request: Request) -> tuple[list[Answer], Answer]:
    """What was served, and the refusal."""
    served: list[Answer] = []
    while (answer := await _send(edge, request)).status != 429:
        served.append(answer)
        assert len(served) < 20
    return served, answer


@pytest.mark.parametrize("limit", TABLE, ids=lambda limit: limit.name)
async def test_whoever_is_over_a_routes_limit_is_told_until_when(
    limited: Edge, limit: Limit
) -> None:
    at_once, wait, one, other = TABLE[limit]
    served, refused = await _use_up(limited, one)
    # Buckets of a limit per second fill again meanwhile.
    assert len(served) >= at_once
    assert served[0].headers["x-ratelimit-limit"].startswith(str(at_once))
    assert served[0].headers["x-ratelimit-remaining"] == str(at_once - 1)
    assert (refused.status, refused.error["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == wait
    assert refused.headers["x-ratelimit-remaining"] == "0"
    if wait != "1":
        assert 0 < int(refused.headers["x-ratelimit-reset"]) <= int(wait)
    if other:
        answer = await _send(limited, other)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit"].startswith(str(at_once))
        assert answer.headers["x-ratelimit-remaining"] == str(at_once - 1)


@pytest.mark.parametrize(
    ("one", "same"), [(ACTION, OTHER_ACTION), (HEALTH, HEALTH_OF_API)], ids=["ids", "paths"]
)
async def test_what_is_the_same_in_other_words_is_no_other_route(
    tmp_path: Path, one: Request, same: Request
) -> None:
    async with open_edge(
        tmp_path, rate_per_second=200, rate_write_per_second=1, rate_open_per_second=1
    ) as edge:
        await _use_up(edge, one)
        # One may have come back meanwhile; a bucket of its own would have one left after this.
        assert (await _send(edge, same)).headers["x-ratelimit-remaining"] == "0"


async def test_the_sum_counts_all_but_heartbeats(tmp_path: Path) -> None:
    async with open_edge(tmp_path, rate_per_second=1) as edge:
        for request in (PROFILE, SAVE, LOGIN, ("GET", "/nothing", None)):
            await _use_up(edge, request)
        refused = await _send(edge, ("GET", "/nothing", None))
        assert (refused.status, refused.error["code"]) == (429, "RATE_LIMITED")
        assert refused.headers["retry-after"] == "1"
        assert {(await _send(edge, HEARTBEAT)).status for _ in range(5)} == {200}
