"""Who gets in: every way to get a token wrong, as (attempt, status, code)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_common.auth.keyfiles import jwks
from eros_common.errors import ErrorCode, Unauthenticated
from eros_common.testing.tokens import KID
from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROFILE = f"{API}/users/profile"


def _claims(edge: Edge) -> dict[str, object]:
    now = int(time.time())
    return {"iss": "eros", "aud": "eros", "sub": str(edge.user), "iat": now, "exp": now + 900}


def _unsigned(edge: Edge) -> str:
    return jwt.encode(_claims(edge), "", algorithm="none", headers={"kid": KID})


def _public_key_as_secret(edge: Edge) -> str:
    """HS256 with what everybody may read: the classic confusion of algorithms."""
    public = edge.backends.tokens.user_key.public_key()
    (key,) = json.loads(jwks({KID: public}))["keys"]
    return jwt.encode(_claims(edge), key["x"], algorithm="HS256", headers={"kid": KID})


def _public_pem_as_secret(edge: Edge) -> str:
    pem = edge.backends.tokens.user_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": KID}).encode())
    body = base64.urlsafe_b64encode(json.dumps(_claims(edge)).encode())
    signed = head.rstrip(b"=") + b"." + body.rstrip(b"=")
    # By hand: the library refuses to sign with a public key.
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signed, pem)
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def _tampered(edge: Edge) -> str:
    head, _, signature = edge.token().split(".")
    claims = _claims(edge) | {"roles": ["admin"]}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


ATTEMPTS: dict[str, Callable[[Edge], str]] = {
    "expired": lambda edge: edge.token(lifetime_seconds=-5),
    "never expires": lambda edge: edge.token(exp=None),
    "another audience": lambda edge: edge.token(aud="scheduler"),
    "no audience": lambda edge: edge.token(aud=None),
    "another issuer": lambda edge: edge.token(iss="somebody"),
    "a service's": lambda edge: edge.backends.tokens.identity("matcher").token("accounts"),
    "another key, our kid": lambda edge: edge.token(key=Ed25519PrivateKey.generate()),
    "our key, another kid": lambda edge: edge.token(kid="nobody"),
    "alg none": _unsigned,
    "HS256 by our public key": _public_key_as_secret,
    "HS256 by our public PEM": _public_pem_as_secret,
    "claims changed": _tampered,
    "signature cut": lambda edge: edge.token().rpartition(".")[0] + ".",
    "no JWT": lambda _: "hello",
    "empty": lambda _: "",
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_wrong_token_is_refused_before_any_service_sees_it(
    edge: Edge, attempt: str
) -> None:
    answer = await edge.call("GET", PROFILE, headers=edge.bearer(ATTEMPTS[attempt](edge)))
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")
    assert edge.backends.calls == []


async def test_the_right_one_is_let_in_and_passed_on(edge: Edge) -> None:
    token = edge.token()
    answer = await edge.call("GET", PROFILE, headers=edge.bearer(token))
    assert (answer.status, json.loads(answer.body)) == (200, {"success": True})
    (call,) = edge.backends.calls
    assert call.metadata["authorization"] == f"Bearer {token}"
    # The scheme's case is the client's choice (RFC 9110, 11.1).
    lower = {"authorization": f"bearer {token}"}
    assert (await edge.call("GET", PROFILE, headers=lower)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"x-eros-user": "11111111-1111-4111-8111-111111111111"},
        {"cookie": "token=x"},
    ],
    ids=["nothing", "basic", "a spoofed identity", "a cookie"],
)
async def test_no_token_at_all(edge: Edge, headers: dict[str, str]) -> None:
    answer = await edge.call("GET", PROFILE, headers=headers, signed_in=False)
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")
    assert "www-authenticate" in answer.headers
    assert edge.backends.calls == []


async def test_a_token_in_the_query_is_none(edge: Edge) -> None:
    answer = await edge.call("GET", f"{PROFILE}?access_token={edge.token()}", signed_in=False)
    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")


async def test_words_help(edge: Edge) -> None:
    missing = await edge.call("GET", PROFILE, signed_in=False)
    assert "Sign in" in missing.error["message"]
    expired = await edge.call("GET", PROFILE, headers=edge.bearer(edge.token(lifetime_seconds=-5)))
    assert "expired" in expired.error["message"]
    other = await edge.call("GET", PROFILE, headers=edge.bearer(edge.token(aud="x")))
    assert "somebody else" in other.error["message"]


async def test_public_routes_need_none_and_mind_no_wrong_one(edge: Edge) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}):
        answer = await edge.call(
            "POST",
            f"{API}/auth/login",
            {"email": "a@b.example", "password": "long enough"},
            headers=headers,
            signed_in=False,
        )
        assert answer.status == 200
    keys = await edge.call("GET", "/.well-known/jwks.json", signed_in=False)
    assert json.loads(keys.body)["keys"][0]["kid"] == KID


async def test_a_services_own_refusal_of_the_session_arrives(edge: Edge) -> None:
    edge.backends.answers["GetProfile"] = Unauthenticated("the session has ended")
    answer = await edge.call("GET", PROFILE)
    assert (answer.status, answer.error["code"]) == (401, ErrorCode.UNAUTHENTICATED)
    assert answer.error["message"] == "the session has ended"
