"""Headers that a gRPC server would refuse, or take for its own, end no request."""

from __future__ import annotations

import pytest

from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x$weird", "1"),
        ("um'", "0(B;Q"),
        ("thing-bin", "no base64!"),
        ("grpc-timeout", "whenever"),
        ("grpc-encoding", "zip"),
        ("x-eros-status", "500"),
    ],
)
async def test_a_strange_header_is_nobodys_business(edge: Edge, name: str, value: str) -> None:
    answer = await edge.call("GET", f"{API}/users/profile", headers={name: value})
    assert answer.status == 200
    (call,) = edge.backends.calls
    assert name not in call.metadata


async def test_whatever_the_gateway_takes_a_service_takes(edge: Edge) -> None:
    """gRPC servers refuse headers over 8 KiB by chance, so once would tell little."""
    for _ in range(8):
        answer = await edge.call("GET", f"{API}/users/profile", headers={"x-pad": "x" * 15_000})
        assert answer.status == 200
