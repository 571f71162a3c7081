"""How often one address may call, by what it calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
ACTION = (
    *("POST", f"{API}/matches/22222222-2222-4222-8222-222222222222/action"),
    {"action": "like"},
)
PROFILE = ("GET", f"{API}/users/profile", None)
MATCHES = ("GET", f"{API}/matches/daily", None)
HEARTBEAT: Request = ("POST", f"{API}/heartbeat", {})
HEALTH = ("GET", "/health", None)
DOCS = ("GET", "/docs", None)

# The limit, how many of its requests may come at once, how long to wait then (seconds), two of its
# routes: what the one has used up the other has not.
TABLE: dict[Limit, tuple[int, str, Request, Request]] = {
    Limit.SIGN_IN: (3, "20", LOGIN, REFRESH),
    Limit.REGISTER: (2, "30", REGISTER, REGISTER),
    Limit.LEAVE: (2, "30", EXPORT, DELETE),
    Limit.GENERATE: (4, "15", ASK, CHAT),
    Limit.WRITE: (2, "1", SAVE, ACTION),
    Limit.READ: (2, "1", PROFILE, MATCHES),
    Limit.HEARTBEAT: (2, "1", HEARTBEAT, HEARTBEAT),
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


@pytest.mark.parametrize("limit", TABLE, ids=lambda limit: limit.name)
async def test_whoever_is_over_a_limit_is_told_until_when(limited: Edge, limit: Limit) -> None:
    at_once, wait, one, other = TABLE[limit]
    answers: list[Answer] = []
    while len(answers) < 3 * at_once and (not answers or answers[-1].status != 429):
        answers.append(await _send(limited, one))
    *served, refused = answers
    if limit is not Limit.READ:  # the gateway's start has used that up
        # Buckets of a limit per second fill again meanwhile.
        assert len(served) >= at_once
        assert served[0].headers["x-ratelimit-limit"].startswith(str(at_once))
        assert served[0].headers["x-ratelimit-remaining"] == str(at_once - 1)
    assert (refused.status, refused.error["code"]) == (429, "RATE_LIMITED")
    assert refused.headers["retry-after"] == wait
    assert refused.headers["x-ratelimit-remaining"] == "0"
    if wait != "1":
        assert 0 < int(refused.headers["x-ratelimit-reset"]) <= int(wait)
        assert (await _send(limited, other)).status == 429


async def test_the_sum_counts_all_but_heartbeats(tmp_path: Any) -> None:
    async with open_edge(tmp_path, rate_per_second=1) as edge:
        for request in (PROFILE, SAVE, LOGIN, ("GET", "/nothing", None)):
            while (await _send(edge, request)).status != 429:
                pass
        refused = await _send(edge, ("GET", "/nothing", None))
        assert (refused.status, refused.error["code"]) == (429, "RATE_LIMITED")
        assert {(await _send(edge, HEARTBEAT)).status for _ in range(5)} == {200}
