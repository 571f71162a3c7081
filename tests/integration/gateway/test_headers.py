"""Headers that a gRPC server would refuse, or take for its own, end no request."""

from __future__ import annotations

import asyncio

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


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{API}/users/profile", None),
        ("GET", f"{API}/nowhere", None),
        ("PUT", f"{API}/users/profile", b"no json"),
        ("POST", f"{API}/heartbeat", b'{"appActive":true,"screenOn":true}'),
        ("POST", f"{API}/heartbeat", b"{}"),
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
async def test_the_request_id_comes_back_once(
    edge: Edge, method: str, path: str, body: bytes | None, signed_in: bool
) -> None:
    token = f"authorization: Bearer {edge.token()}\r\n" if signed_in else ""
    length = "" if body is None else f"content-length: {len(body)}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nx-request-id: id-1\r\n{token}{length}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(head.encode() + (body or b""))
    answer = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    writer.close()
    assert [line for line in answer if line.startswith(b"x-request-id")] == [b"x-request-id: id-1"]


@pytest.mark.parametrize("name", ["x-thing", "user-agent", "idempotency-key", "cookie"])
async def test_a_header_that_is_no_text_ends_nothing_and_is_nowhere(
    edge: Edge, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """gRPC would log its bytes, whatever is in them, with a traceback for each."""
    value = "secret\xff\xfe"
    answer = await edge.call("GET", f"{API}/users/profile", headers={name: value})
    assert answer.status == 200
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text
