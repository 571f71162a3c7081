"""Web pages: those of the origins that are named may call, and no other."""

from __future__ import annotations

import pytest

from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS, OTHERS = "https://app.example.org", "https://app.example.org.evil.example"


def _granted(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


async def test_a_page_of_ours_asks_first_and_may(edge: Edge) -> None:
    asks = {
        "origin": OURS,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,if-none-match,idempotency-key",
    }
    answer = await edge.call("OPTIONS", f"{API}/users/profile", headers=asks, signed_in=False)
    assert answer.status == 200
    granted = _granted(answer.headers)
    assert granted["access-control-allow-origin"] == OURS
    assert "PUT" in granted["access-control-allow-methods"]
    for name in ("authorization", "if-none-match", "idempotency-key", "x-eros-background"):
        assert name in granted["access-control-allow-headers"]
    assert not edge.backends.calls


async def test_a_page_of_others_is_granted_nothing(edge: Edge) -> None:
    asks = {"origin": OTHERS, "access-control-request-method": "GET"}
    answer = await edge.call("OPTIONS", f"{API}/users/profile", headers=asks, signed_in=False)
    assert not _granted(answer.headers)
    read = await edge.call("GET", f"{API}/users/profile", headers={"origin": OTHERS})
    assert not _granted(read.headers)


@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_page_of_ours_can_read_answers_and_refusals(edge: Edge, signed_in: bool) -> None:
    answer = await edge.call(
        "GET", f"{API}/users/profile", headers={"origin": OURS}, signed_in=signed_in
    )
    assert answer.status == (200 if signed_in else 401)
    granted = _granted(answer.headers)
    assert granted["access-control-allow-origin"] == OURS
    for name in ("etag", "x-request-id", "retry-after", "x-ratelimit-remaining"):
        assert name in granted["access-control-expose-headers"]
