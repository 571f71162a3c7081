"""The identities a service believes, as its settings name them."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeVar

import grpc
from google.api import httpbody_pb2

from eros_common.app import App
from eros_common.auth.authenticator import Authenticator
from eros_common.auth.keys import FileKeys, KeySource, RemoteKeys, StaticKeys
from eros_common.auth.tokens import ServiceTokens, UserTokens
from eros_common.config import ServiceSettings, SettingsFault
from eros_common.errors import from_rpc_error
from eros_common.policy import Access

GET_JWKS = "/eros.accounts.v1.AccountsService/GetJwks"

S = TypeVar("S", bound=ServiceSettings)


async def standard_auth(app: App[S]) -> Authenticator:
    """People by accounts' keys, services by the JWKS file, ended sessions by the mirror.

    Opens only what the served methods ask for. Adds its background tasks and warm hook to the app.
    """
    accesses = app.accesses()
    nobody = StaticKeys({})
    users: KeySource = nobody
    services: KeySource = nobody
    revoked: Container[str] = frozenset()
    if accesses & {Access.USER, Access.ADMIN}:
        users = app.user_keys or _remote_keys(app)
        mirror = await app.revoked()
        app.background("auth.revocations", mirror.run)
        app.on_warm(mirror.ready)
        revoked = mirror
    if Access.SERVICE in accesses:
        services = _service_keys(app)
    return Authenticator(
        UserTokens(users, clock=app.clock),
        ServiceTokens(services, audience=app.name, clock=app.clock),
        revoked,
    )


def _remote_keys(app: App[S]) -> RemoteKeys:
    channel = app.channel(app.settings.accounts_address, "accounts", anonymous=True)
    get_jwks = channel.unary_unary(
        GET_JWKS, request_serializer=bytes, response_deserializer=httpbody_pb2.HttpBody.FromString
    )

    async def fetch() -> bytes:
        try:
            body = await get_jwks(b"", timeout=5)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        return bytes(body.data)

    keys = RemoteKeys(fetch, clock=app.clock)
    app.background("auth.keys", keys.run)
    return keys


def _service_keys(app: App[S]) -> FileKeys:
    path = app.settings.service_jwks_file
    if path is None:
        raise SettingsFault(["EROS_SERVICE_JWKS_FILE: is not set"])
    try:
        return FileKeys(path)
    except ValueError as error:
        raise SettingsFault([f"EROS_SERVICE_JWKS_FILE: {error}"]) from None
