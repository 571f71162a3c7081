"""Verifying JWTs: EdDSA only, by known keys, for this audience, not expired; cached until then."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import jwt

from eros_common.auth.context import UserIdentity
from eros_common.auth.keyfiles import service_of
from eros_common.auth.keys import KeySource
from eros_common.clocks import Clock, SystemClock
from eros_common.errors import Unauthenticated
from eros_common.ids import SessionId, UserId

USER_ISSUER: Final = "eros"
USER_AUDIENCE: Final = "eros"
SERVICE_ISSUER_PREFIX: Final = "eros-service:"
ALGORITHM: Final = "EdDSA"
CACHE_SIZE: Final = 20_000
CLOCK_SKEW_SECONDS: Final = 30.0
"""By how much another machine's clock may be ahead (``iat``). An expired token gets no grace."""

T = TypeVar("T")


class _Verifier(Generic[T]):
    """Verifies and caches. What is specific to a kind of token is ``read``."""

    def __init__(
        self,
        keys: KeySource,
        *,
        audience: str,
        required: Collection[str],
        read: Callable[[str, dict[str, Any]], T],
        clock: Clock | None,
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._required = list(required)
        self._read = read
        self._clock = clock or SystemClock()
        self._cache: dict[str, tuple[T, float]] = {}
        self._version = keys.version

    async def verify(self, token: str) -> T:
        """What the token says. ``Unauthenticated`` if it is not to be believed, ``Unavailable``
        if no keys can be had."""
        if self._keys.version != self._version:
            self._cache.clear()
            self._version = self._keys.version
        now = self._clock.wall().timestamp()
        known = self._cache.get(token)
        if known is not None:
            if now < known[1]:
                return known[0]
            del self._cache[token]
            raise Unauthenticated("the token has expired")
        identity, expires = await self._verify(token, now)
        if len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]  # the oldest
        self._cache[token] = (identity, expires)
        return identity

    async def _verify(self, token: str, now: float) -> tuple[T, float]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is no JWT") from None
        kid = header.get("kid")
        if header.get("alg") != ALGORITHM or not isinstance(kid, str):
            raise Unauthenticated("the token is not signed as ours are")
        key = self._keys.get(kid)
        if key is None:
            await self._keys.refresh()
            key = self._keys.get(kid)
        if key is None:
            raise Unauthenticated("the token's key is unknown")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                # Times are checked below, by the injected clock.
                options={
                    "require": self._required,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidAudienceError:
            raise Unauthenticated("the token is for somebody else") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is not valid") from None
        expires = _seconds(claims, "exp")
        if now >= expires:
            raise Unauthenticated("the token has expired")
        if _seconds(claims, "iat") > now + CLOCK_SKEW_SECONDS:
            raise Unauthenticated("the token is from the future")
        if "nbf" in claims and _seconds(claims, "nbf") > now + CLOCK_SKEW_SECONDS:
            raise Unauthenticated("the token is not valid yet")
        return self._read(kid, claims), expires


class UserTokens(_Verifier[UserIdentity]):
    """Access tokens: ``iss=eros``, ``aud=eros``, ``sub`` a user's UUID, ``sid``, ``roles``."""

    def __init__(self, keys: KeySource, *, clock: Clock | None = None) -> None:
        super().__init__(
            keys,
            audience=USER_AUDIENCE,
            required=("iss", "aud", "exp", "iat", "sub", "sid"),
            read=_read_user,
            clock=clock,
        )


class ServiceTokens(_Verifier[str]):
    """Identities of services: ``iss=eros-service:<name>`` signed by a key whose kid begins with
    that name (``keyfiles.service_kid``), ``aud`` the called service. ``verify`` gives the name."""

    def __init__(self, keys: KeySource, *, audience: str, clock: Clock | None = None) -> None:
        super().__init__(
            keys,
            audience=audience,
            required=("iss", "aud", "exp", "iat"),
            read=_read_service,
            clock=clock,
        )


def _read_user(kid: str, claims: dict[str, Any]) -> UserIdentity:  # noqa: ARG001 - one shape
    if claims["iss"] != USER_ISSUER:
        raise Unauthenticated("the token is from somebody else")
    subject, session, roles = claims["sub"], claims["sid"], claims.get("roles", [])
    if not isinstance(session, str) or not isinstance(roles, list):
        raise Unauthenticated("the token is not valid")
    try:
        user_id = UserId(UUID(subject))
    except (ValueError, TypeError, AttributeError):
        raise Unauthenticated("the token names no person") from None
    return UserIdentity(user_id, SessionId(session), frozenset(map(str, roles)))


def _read_service(kid: str, claims: dict[str, Any]) -> str:
    # The key belongs to one service: it may speak for no other.
    name = service_of(kid)
    if claims["iss"] != SERVICE_ISSUER_PREFIX + name:
        raise Unauthenticated("the token's key is not its issuer's")
    return name


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated("the token is not valid")
    return float(value)
