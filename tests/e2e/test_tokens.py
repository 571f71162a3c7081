"""Every route wants a true token, whichever way one comes in."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from collections.abc import Awaitable
from typing import Any

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc
from eros.activity.v1 import activity_pb2, activity_pb2_grpc
from eros.scheduler.v1 import scheduler_pb2, scheduler_pb2_grpc
from eros_cli.mesh.mesh import Mesh
from eros_common.policy import Access
from eros_gateway.config import DESCRIPTOR_SET
from eros_gateway.domain.contract import read_contract
from tests.support.people import refused, succeeded

#: The same in each process that collects these tests.
NOBODY = "00000000-0000-4000-8000-00000000000a"
ROUTES = sorted(
    (path.verb, re.sub(r"{.*?}", NOBODY, path.template.removeprefix("/api/v1")))
    for method in read_contract(DESCRIPTOR_SET.read_bytes()).reachable
    if method.policy.access in (Access.USER, Access.ADMIN)
    for path in method.rest
)


def test_there_are_as_many_routes_as_one_would_think() -> None:
    assert len(ROUTES) > 20
    assert ("POST", "/assistant/chat") in ROUTES
    assert ("DELETE", "/users/profile") in ROUTES


class Mint:
    """Makes tokens with the mesh's own key, true and false ones."""

    def __init__(self, mesh: Mesh) -> None:
        path = max(mesh.data.signing_keys.glob("*.pem"))
        self.kid = path.stem
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(loaded, Ed25519PrivateKey)
        self.key = loaded

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        whole = {
            "iss": "eros",
            "aud": "eros",
            "sub": str(uuid.uuid4()),
            "sid": uuid.uuid4().hex,
            "roles": [],
            "iat": now,
            "exp": now + 600,
        }
        return whole | changes

    def token(self, key: Any = None, algorithm: str = "EdDSA", **changes: Any) -> str:
        headers = {"kid": self.kid}
        return jwt.encode(self.claims(**changes), key or self.key, algorithm, headers)

    def unsigned(self) -> str:
        parts = [{"alg": "none", "typ": "JWT", "kid": self.kid}, self.claims(roles=["admin"])]
        return ".".join([*(_base64(json.dumps(part).encode()) for part in parts), ""])

    def signed_with_the_public_key(self) -> str:
        public = self.key.public_key().public_bytes_raw()
        return self.token(key=public, algorithm="HS256")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def mint(mesh: Mesh) -> Mint:
    return Mint(mesh)


def false_tokens(mint: Mint) -> dict[str, str]:
    ended = int(time.time()) - 10
    whole = mint.token()
    return {
        "none": "",
        "garbage": "a.b.c",
        "expired": mint.token(exp=ended, iat=ended - 600),
        "another audience": mint.token(aud="matcher"),
        "another issuer": mint.token(iss="eros-service:operator"),
        "another key": mint.token(key=Ed25519PrivateKey.generate()),
        "alg none": mint.unsigned(),
        "HS256 with the public key": mint.signed_with_the_public_key(),
        "cut": whole[:-4],
    }


async def test_a_true_token_passes(gateway: httpx.AsyncClient, mint: Mint) -> None:
    headers = {"authorization": f"Bearer {mint.token()}"}
    succeeded(await gateway.get("/activity/status", headers=headers))


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_false_token_does_not(
    gateway: httpx.AsyncClient, mint: Mint, method: str, path: str
) -> None:
    for what, token in false_tokens(mint).items():
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body: dict[str, str] | None = None if method == "GET" else {}
        answer = await gateway.request(method, path, json=body, headers=headers)
        assert answer.status_code == 401, what
        refused(answer, 401, "UNAUTHENTICATED")


async def test_identity_headers_of_a_client_mean_nothing(
    gateway: httpx.AsyncClient, mint: Mint
) -> None:
    spoofed = {"x-eros-user": str(uuid.uuid4()), "x-user-id": str(uuid.uuid4())}
    refused(await gateway.get("/users/profile", headers=spoofed), 401, "UNAUTHENTICATED")
    me = str(uuid.uuid4())
    headers = {**spoofed, "authorization": f"Bearer {mint.token(sub=me)}"}
    assert succeeded(await gateway.get("/activity/status", headers=headers))["userId"] == me


async def test_native_grpc_through_the_gateway_wants_a_token(mesh: Mesh) -> None:
    async with grpc.aio.insecure_channel(mesh.service("envoy").address) as channel:
        accounts = accounts_pb2_grpc.AccountsServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await accounts.GetProfile(accounts_pb2.GetProfileRequest())
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_is_between_services_is_not_reached_through_the_gateway(
    mesh: Mesh, mint: Mint
) -> None:
    metadata = [("authorization", f"Bearer {mint.token(roles=['admin'])}")]
    async with grpc.aio.insecure_channel(mesh.service("envoy").address) as channel:
        calls: list[Awaitable[Any]] = [
            accounts_pb2_grpc.AccountsServiceStub(channel).GrantAdmin(
                accounts_pb2.GrantAdminRequest(email="me@eros.example"), metadata=metadata
            ),
            activity_pb2_grpc.ActivityServiceStub(channel).Touch(
                activity_pb2.TouchRequest(), metadata=metadata
            ),
            scheduler_pb2_grpc.SchedulerServiceStub(channel).ListJobs(
                scheduler_pb2.ListJobsRequest(), metadata=metadata
            ),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() in (
                grpc.StatusCode.UNIMPLEMENTED,
                grpc.StatusCode.NOT_FOUND,
            )


async def test_a_service_called_past_the_gateway_wants_a_token_too(mesh: Mesh, mint: Mint) -> None:
    async with grpc.aio.insecure_channel(mesh.service("accounts").address) as channel:
        accounts = accounts_pb2_grpc.AccountsServiceStub(channel)
        for token in false_tokens(mint).values():
            metadata = [("authorization", f"Bearer {token}")] if token else []
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await accounts.GetProfile(accounts_pb2.GetProfileRequest(), metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        user = [("authorization", f"Bearer {mint.token(roles=['admin'])}")]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await accounts.GrantAdmin(
                accounts_pb2.GrantAdminRequest(email="me@eros.example"), metadata=user
            )
        assert caught.value.code() in (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.PERMISSION_DENIED,
        )
