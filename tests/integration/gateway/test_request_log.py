"""Envoy's own log: a line a request, by which it is found again, and nothing that is a secret."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "ThisIsToldNobody"


async def line_of(edge: Edge, request_id: str) -> dict[str, Any]:
    """Envoy writes it when the response is on its way, and flushes its file each 20 ms."""
    log = Path(edge.settings.gateway_access_log)
    for _ in range(250):
        await asyncio.sleep(0.02)
        for line in log.read_text().splitlines():
            found: dict[str, Any] = json.loads(line)
            if found["requestId"] == request_id:
                return found
    pytest.fail(f"no line of {request_id}")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{API}/users/profile?pageToken={SECRET}", None, 400),
        ("PUT", f"{API}/users/profile", {"bio": SECRET}, 200),
        ("POST", f"{API}/assistant/chat", {"message": SECRET}, 200),
        ("POST", f"{API}/auth/login", {"email": "a@b.example", "password": SECRET}, 200),
        ("PUT", f"{API}/users/profile", SECRET, 400),
    ],
)
async def test_a_line_names_the_request_and_tells_no_secret(
    edge: Edge, method: str, path: str, body: Any, status: int
) -> None:
    trace = uuid4().hex
    request_id = f"id-{trace}"
    headers = {
        "x-request-id": request_id,
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        "cookie": f"eros-console={SECRET}",
        "idempotency-key": f"{SECRET}-0123456789",
    }
    answer = await edge.call(method, path, body, headers=headers)
    assert answer.status == status
    line = await line_of(edge, request_id)
    assert (line["method"], line["status"]) == (method, status)
    assert line["user"] == (None if "/auth/" in path else str(edge.user))
    assert line["path"] == path.partition("?")[0]
    # Where nothing is traced there is no trace to name: that it is named is for `test_traces`.
    assert line["traceId"] is None
    text = json.dumps(line)
    assert SECRET not in text
    assert edge.token().partition(".")[0] not in text
