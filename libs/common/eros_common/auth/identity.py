"""This service's identity towards others: short-lived tokens signed by its own key."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_common.auth.keyfiles import read_private_key, service_kid
from eros_common.auth.tokens import ALGORITHM, SERVICE_ISSUER_PREFIX
from eros_common.clocks import Clock, SystemClock

LIFETIME_SECONDS: Final = 60
RENEW_BEFORE_SECONDS: Final = 20


class ServiceIdentity:
    """Signs who we are; one token per called service, renewed before it ends."""

    def __init__(self, name: str, key: Ed25519PrivateKey, *, clock: Clock | None = None) -> None:
        self.name = name
        self._key = key
        self._kid = service_kid(name, key.public_key())
        self._clock = clock or SystemClock()
        self._tokens: dict[str, tuple[str, float]] = {}

    @classmethod
    def from_file(cls, name: str, path: Path, *, clock: Clock | None = None) -> ServiceIdentity:
        """The identity whose key is in a PEM file; ``ValueError`` if it holds none."""
        return cls(name, read_private_key(path), clock=clock)

    @property
    def key(self) -> Ed25519PrivateKey:
        """For what a service signs for itself; nobody else believes it."""
        return self._key

    def token(self, audience: str) -> str:
        """A token for one service, good for at least 20 seconds more."""
        now = self._clock.wall().timestamp()
        known = self._tokens.get(audience)
        if known is not None and now < known[1] - RENEW_BEFORE_SECONDS:
            return known[0]
        expires = int(now) + LIFETIME_SECONDS
        claims = {
            "iss": SERVICE_ISSUER_PREFIX + self.name,
            "aud": audience,
            "iat": int(now),
            "exp": expires,
        }
        token = jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self._kid})
        self._tokens[audience] = (token, expires)
        return token

    def authorization(self, audience: str) -> str:
        """The value of the ``authorization`` header for one service."""
        return f"Bearer {self.token(audience)}"
