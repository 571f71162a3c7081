"""Every attack from outside, as a table: what is tried, the status, the code.

Against the whole mesh as it ships, through Envoy. docs/security.md names these lines.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from eros_cli.mesh.mesh import Mesh
from tests.e2e.test_tokens import Mint
from tests.support.people import PASSWORD, Person, refused, sign_up

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over a bare connection; `code` is that of the one error shape, or gRPC's
    number (12: UNIMPLEMENTED), whose HTTP status is 200 always."""

    status: int
    code: str


@dataclass(frozen=True, slots=True)
class Outside:
    """Somebody outside with two accounts, who can send any bytes."""

    mesh: Mesh
    me: Person
    victim: Person
    mint: Mint

    async def raw(self, request: bytes) -> Answer:
        """Sends these bytes; fails where nothing comes back in time."""
        host, port = self.mesh.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.timeout(25):
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                fields = dict(line.split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
        finally:
            writer.close()
        status = int(head[0].split()[1])
        if "grpc-status" in fields:
            return Answer(status, f"grpc {fields['grpc-status']}")
        error = json.loads(body) if body else {}
        return Answer(status, error.get("error", {}).get("code", ""))

    async def send(
        self, method: str, path: str, body: bytes = b"", token: str | None = None, extra: str = ""
    ) -> Answer:
        """One request, its path and headers sent as they are given."""
        bearer = f"authorization: Bearer {token}\r\n" if token else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{bearer}{extra}"
        return await self.raw(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def mine(self, method: str, path: str, body: bytes = b"", extra: str = "") -> Answer:
        return await self.send(method, path, body, self.me.token, extra)


@pytest.fixture(scope="module")
async def outside(mesh: Mesh, gateway: httpx.AsyncClient) -> Outside:
    return Outside(mesh, await sign_up(gateway, "Mal"), await sign_up(gateway, "Vera"), Mint(mesh))


def _padded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def _roles_added(o: Outside) -> str:
    head, body, signature = o.me.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{_padded(claims | {'roles': ['admin']})}.{signature}"


Attempt = Callable[[Outside], Awaitable[Answer]]
_PROFILE = f"{API}/users/profile"
_SPOOFED = "x-eros-user: {0}\r\nx-user-id: {0}\r\nx-roles: admin\r\nx-forwarded-user: {0}\r\n"
_GRPC = "content-type: application/grpc\r\nte: trailers\r\n"

ATTACKS: dict[str, tuple[Attempt, int, str]] = {
    # Somebody else's things.
    "a match of somebody else": (
        lambda o: o.mine("POST", f"{API}/matches/{uuid.uuid4()}/action", b'{"action":"like"}'),
        *(404, "NOT_FOUND"),
    ),
    "a heartbeat for somebody else": (
        lambda o: o.mine(
            "POST", f"{API}/heartbeat", f'{{"userId":"{o.victim.user_id}"}}'.encode()
        ),
        *(403, "PERMISSION_DENIED"),
    ),
    "admin's statistics": (
        lambda o: o.mine("GET", f"{API}/activity/stats"), 403, "PERMISSION_DENIED",
    ),
    "admin's health": (
        lambda o: o.mine("GET", f"{API}/health/detailed"), 403, "PERMISSION_DENIED",
    ),
    # Tokens.
    "no token": (lambda o: o.send("GET", _PROFILE), 401, "UNAUTHENTICATED"),
    "a token that is no JWT": (
        lambda o: o.send("GET", _PROFILE, token="a.b.c"), 401, "UNAUTHENTICATED",
    ),
    "alg none": (
        lambda o: o.send("GET", _PROFILE, token=o.mint.unsigned()), 401, "UNAUTHENTICATED",
    ),
    "HS256 by the public key": (
        lambda o: o.send("GET", _PROFILE, token=o.mint.signed_with_the_public_key()),
        *(401, "UNAUTHENTICATED"),
    ),
    "roles written into one's own token": (
        lambda o: o.send("GET", f"{API}/activity/stats", token=_roles_added(o)),
        *(401, "UNAUTHENTICATED"),
    ),
    "a refresh token as access token": (
        lambda o: o.send("GET", _PROFILE, token=o.me.refresh_token), 401, "UNAUTHENTICATED",
    ),
    "identity headers instead of a token": (
        lambda o: o.send("GET", _PROFILE, extra=_SPOOFED.format(o.victim.user_id)),
        *(401, "UNAUTHENTICATED"),
    ),
    # Ways around the routes.
    "a doubled slash": (lambda o: o.mine("GET", f"/{_PROFILE}"), 404, "NOT_FOUND"),
    "an encoded slash": (
        lambda o: o.mine("GET", f"{API}/users%2fprofile"), 400, "INVALID_ARGUMENT",
    ),
    "..;": (lambda o: o.mine("GET", f"{API}/matches/..;/users/profile"), 404, "NOT_FOUND"),
    "dots": (lambda o: o.mine("GET", f"{API}/matches/../users/profile"), 404, "NOT_FOUND"),
    "another case": (lambda o: o.mine("GET", f"{API}/Users/Profile"), 404, "NOT_FOUND"),
    "a method override": (
        lambda o: o.mine("GET", f"{API}/auth/logout", extra="x-http-method-override: POST\r\n"),
        *(405, "METHOD_NOT_ALLOWED"),
    ),
    "a service's method by its gRPC path": (
        lambda o: o.mine("POST", "/eros.accounts.v1.AccountsService/GrantAdmin", b"{}"),
        *(404, "NOT_FOUND"),
    ),
    "the same as native gRPC": (
        lambda o: o.mine(
            "POST", "/eros.accounts.v1.AccountsService/GrantAdmin", b"\0\0\0\0\0", _GRPC
        ),
        *(200, "grpc 12"),
    ),
    "gRPC to a REST path": (
        lambda o: o.mine("POST", f"{API}/heartbeat", b"\0\0\0\0\0", _GRPC), 200, "grpc 12",
    ),
    "Envoy's own pages": (lambda o: o.mine("GET", "/stats"), 404, "NOT_FOUND"),
    # Sizes and times.
    "a body over a mebibyte": (
        lambda o: o.mine("PUT", _PROFILE, b'{"bio":"' + b"x" * 1_100_000 + b'"}'),
        *(413, "PAYLOAD_TOO_LARGE"),
    ),
    "a header of 20 KB": (
        lambda o: o.mine("GET", _PROFILE, extra=f"x-pad: {'x' * 20_000}\r\n"),
        *(431, "HEADERS_TOO_LARGE"),
    ),
    "a hundred headers": (
        lambda o: o.mine("GET", _PROFILE, extra="".join(f"x-h{n}: 1\r\n" for n in range(100))),
        *(431, "HEADERS_TOO_LARGE"),
    ),
    "a head that never ends": (
        lambda o: o.raw(f"GET {_PROFILE} HTTP/1.1\r\nhost: x\r\n".encode()),
        *(408, "REQUEST_TIMEOUT"),
    ),
    # What is in a request.
    "two lengths": (
        lambda o: o.raw(
            b"POST /api/v1/heartbeat HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n"
            b"content-length: 2\r\n\r\n{}"
        ),
        *(400, "INVALID_ARGUMENT"),
    ),
    "length and chunks (smuggling)": (
        lambda o: o.raw(
            b"POST /api/v1/heartbeat HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n"
            b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        *(400, "INVALID_ARGUMENT"),
    ),
    "fields that are not one's to set": (
        lambda o: o.mine("PUT", f"{_PROFILE}?userId={o.victim.user_id}", b'{"bio":"x"}'),
        *(400, "INVALID_ARGUMENT"),
    ),
    "a photo at an address inside": (
        lambda o: o.mine("PUT", _PROFILE, b'{"photos":["file:///etc/passwd"]}'),
        *(400, "INVALID_ARGUMENT"),
    ),
    "SQL for an id": (
        lambda o: o.mine("GET", f"{API}/users/1'%20OR%20'1'='1/profile"), 404, "NOT_FOUND",
    ),
    "a password that everybody tries": (
        lambda o: o.send(
            "POST",
            f"{API}/auth/register",
            b'{"email":"m@eros.example","password":"Password123","name":"Mal"}',
        ),
        *(400, "INVALID_ARGUMENT"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("attempt", ATTACKS)
async def test_an_attack_is_refused(outside: Outside, attempt: str) -> None:
    run, status, code = ATTACKS[attempt]
    answer = await run(outside)
    assert (answer.status, answer.code) == (status, code)


async def test_fields_beyond_the_contract_change_nothing(outside: Outside) -> None:
    """Mass assignment: a role, an id or an e-mail in a body is ignored like every unknown field."""
    body = {"bio": "hi", "roles": ["admin"], "userId": outside.victim.user_id, "email": "x@y.z"}
    assert (await outside.me.call("PUT", "/users/profile", body)).status_code == 200
    profile = (await outside.me.get("/users/profile"))["profile"]
    assert (profile["userId"], profile["email"]) == (outside.me.user_id, outside.me.email)
    refused(await outside.me.call("GET", "/activity/stats"), 403, "PERMISSION_DENIED")


async def test_guessing_one_password_is_spaced_and_tells_nothing(
    gateway: httpx.AsyncClient, outside: Outside
) -> None:
    seen = []
    for email in (outside.victim.email, f"{uuid.uuid4()}@eros.example"):
        codes = []
        for _ in range(12):
            body = {"email": email, "password": "not the password"}
            answer = await gateway.post("/auth/login", json=body)
            error = answer.json()["error"]
            codes.append((answer.status_code, error["code"], error["message"]))
        assert int(answer.headers["retry-after"]) > 0
        seen.append(codes)
    assert seen[0] == seen[1]
    assert [code for _, code, _ in seen[0][-2:]] == ["UNAUTHENTICATED", "RATE_LIMITED"]
    right = {"email": outside.victim.email, "password": PASSWORD}
    refused(await gateway.post("/auth/login", json=right), 429, "RATE_LIMITED")


async def test_answers_tell_nothing_of_the_inside(outside: Outside) -> None:
    answer = await outside.me.call("GET", "/users/profile")
    named = {name.lower() for name in answer.headers}
    assert not {name for name in named if name.startswith(("x-envoy", "grpc-", "x-powered"))}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["server"] == "eros"
