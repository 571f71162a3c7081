"""Tokens of people and services, signed by keys made for one test."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eros_common.auth import Authenticator, ServiceIdentity, ServiceTokens, StaticKeys, UserTokens
from eros_common.auth.keyfiles import service_kid
from eros_common.auth.tokens import ALGORITHM, USER_AUDIENCE, USER_ISSUER
from eros_common.clocks import Clock, SystemClock
from eros_common.ids import UserId, new_session_id

KID = "test-1"
SERVICES = (
    *("accounts", "activity", "scheduler", "matcher", "worker", "assistant"),
    *("gateway", "operator"),
)
Metadata = tuple[tuple[str, str], ...]


class TestTokens:
    """Signs what accounts and other services would sign."""

    __test__ = False  # no test class, whatever its name says

    def __init__(self, *, clock: Clock | None = None, services: Iterable[str] = SERVICES) -> None:
        self.clock = clock or SystemClock()
        self.user_key = Ed25519PrivateKey.generate()
        self.service_keys = {name: Ed25519PrivateKey.generate() for name in services}

    def user_token(
        self,
        user_id: UserId,
        *,
        roles: Iterable[str] = (),
        session_id: str | None = None,
        lifetime_seconds: float = 900,
        key: Ed25519PrivateKey | None = None,
        kid: str = KID,
        **claims: Any,
    ) -> str:
        """An access token; ``claims`` replace or add, None leaves one out."""
        now = self.clock.wall().timestamp()
        payload: dict[str, Any] = {
            "iss": USER_ISSUER,
            "aud": USER_AUDIENCE,
            "sub": str(user_id),
            "sid": session_id or new_session_id(),
            "roles": list(roles),
            "iat": int(now),
            "exp": int(now + lifetime_seconds),
        }
        payload |= claims
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, key or self.user_key, algorithm=ALGORITHM, headers={"kid": kid})

    def user(self, user_id: UserId, **kwargs: Any) -> Metadata:
        """Call metadata of a signed-in person; the arguments of ``user_token``."""
        return (("authorization", f"Bearer {self.user_token(user_id, **kwargs)}"),)

    def identity(self, name: str) -> ServiceIdentity:
        """The signer of one service."""
        return ServiceIdentity(name, self.service_keys[name], clock=self.clock)

    def service(self, name: str, audience: str) -> Metadata:
        """Call metadata of a service that calls the service ``audience``."""
        return (("authorization", self.identity(name).authorization(audience)),)

    def user_keys(self) -> StaticKeys:
        return StaticKeys({KID: self.user_key.public_key()})

    def service_jwks(self) -> dict[str, Ed25519PublicKey]:
        """Public keys of the services by kid."""
        public = {name: key.public_key() for name, key in self.service_keys.items()}
        return {service_kid(name, key): key for name, key in public.items()}

    def auth(self, audience: str = "test", *, revoked: Container[str] = ()) -> Authenticator:
        """Believes these tokens, for the service ``audience``."""
        services = self.service_jwks()
        return Authenticator(
            UserTokens(self.user_keys(), clock=self.clock),
            ServiceTokens(StaticKeys(services), audience=audience, clock=self.clock),
            revoked,
        )
