"""The whole service in the test's process, on real servers, with its own keys."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc, profile_pb2
from eros_accounts.__main__ import compose
from eros_accounts.config import AccountsSettings
from eros_common import config
from eros_common.auth.keyfiles import jwks, private_pem
from eros_common.channel import open_channel
from eros_common.errors import ErosError, from_rpc_error
from eros_common.ids import UserId
from eros_common.lifecycle import running
from eros_common.testing import TestTokens

PASSWORD = "correct horse battery"
Metadata = tuple[tuple[str, str], ...]
_numbers = itertools.count(1)


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def new_email() -> str:
    return f"person{next(_numbers)}@example.com"


async def refusal(call: Awaitable[Any]) -> ErosError:
    """What a call was refused with."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    assert isinstance(error.value, grpc.aio.AioRpcError)
    return from_rpc_error(error.value)


def fields(error: ErosError) -> list[str]:
    """What it is about; a field may break several rules."""
    return list(dict.fromkeys(fault.field for fault in error.fields))


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody signed in."""

    user_id: UserId
    email: str
    token: str
    refresh_token: str

    @property
    def auth(self) -> Metadata:
        return bearer(self.token)

    @property
    def session_id(self) -> str:
        return str(jwt.decode(self.token, options={"verify_signature": False})["sid"])


class Accounts:
    """The service as others see it."""

    def __init__(self, channel: grpc.aio.Channel, read_port: int, tokens: TestTokens) -> None:
        self.stub = accounts_pb2_grpc.AccountsServiceStub(channel)
        self._reads = f"http://127.0.0.1:{read_port}"
        self._tokens = tokens

    def service(self, name: str) -> Metadata:
        """The identity of another service."""
        return self._tokens.service(name, "accounts")

    async def register(self, *, email: str = "", name: str = "Ann") -> Member:
        email = email or new_email()
        answer = await self.stub.Register(
            accounts_pb2.RegisterRequest(email=email, password=PASSWORD, name=name)
        )
        assert answer.success
        user_id = UserId(UUID(answer.user_id))
        return Member(user_id, email, answer.token, answer.refresh_token)

    async def login(self, email: str, password: str = PASSWORD) -> accounts_pb2.LoginResponse:
        return await self.stub.Login(accounts_pb2.LoginRequest(email=email, password=password))

    async def refresh(self, token: str) -> accounts_pb2.RefreshResponse:
        return await self.stub.Refresh(accounts_pb2.RefreshRequest(refresh_token=token))

    async def logout(self, member: Member) -> accounts_pb2.LogoutResponse:
        return await self.stub.Logout(accounts_pb2.LogoutRequest(), metadata=member.auth)

    async def profile(self, member: Member) -> accounts_pb2.GetProfileResponse:
        return await self.stub.GetProfile(accounts_pb2.GetProfileRequest(), metadata=member.auth)

    async def short_profile(self, member: Member) -> httpx.Response:
        """As the gateway asks for it first."""
        path = "/eros.accounts.v1.AccountsService/GetProfile"
        async with httpx.AsyncClient(base_url=self._reads, trust_env=False) as http:
            return await http.get(path, headers=dict(member.auth))

    async def public(self, member: Member, user_id: object) -> profile_pb2.PublicProfile:
        answer = await self.stub.GetPublicProfile(
            accounts_pb2.GetPublicProfileRequest(user_id=str(user_id)), metadata=member.auth
        )
        return answer.profile


class Starter:
    """Starts the service on stores and keys of one test; cheap hashing unless told."""

    def __init__(self, postgres_url: str, valkey_url: str, folder: Path) -> None:
        self.keys = folder / "signing"
        self.keys.mkdir()
        self.put_key("first")
        self._tokens = TestTokens()
        public = self._tokens.service_jwks()
        services = folder / "services.json"
        services.write_text(jwks(public))
        key = folder / "accounts.pem"
        key.write_bytes(private_pem(self._tokens.service_keys["accounts"]))
        self._settings: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "reads_listen": "127.0.0.1:0",
            "database_url": postgres_url,
            "redis_url": valkey_url,
            "signing_keys_dir": self.keys,
            "service_jwks_file": services,
            "service_key_file": key,
            # Nobody listens there unless a test does.
            "activity_address": "127.0.0.1:1",
            "signing_key_settle_seconds": 0.0,
            "hash_passes": 1,
            "hash_memory_kib": 8,
        }

    def put_key(self, kid: str) -> None:
        """A new key that signs from now on."""
        file = self.keys / f".{kid}"
        file.write_bytes(private_pem(Ed25519PrivateKey.generate()))
        file.rename(self.keys / f"{kid}.pem")

    @asynccontextmanager
    async def start(self, **settings: Any) -> AsyncIterator[Accounts]:
        read = config.read(AccountsSettings, **(self._settings | settings))
        async with running("accounts", read, compose) as service:
            channel = open_channel(f"127.0.0.1:{service.port}", retry=False)
            try:
                yield Accounts(channel, service.read_port_of(read.reads_listen), self._tokens)
            finally:
                await channel.close()
