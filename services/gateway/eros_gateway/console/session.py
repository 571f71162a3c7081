"""The console's own sessions: a signed cookie, because a browser's EventSource sends no token."""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_common.auth import CONSOLE_SECONDS
from eros_common.clocks import Clock
from eros_common.errors import PermissionDenied, Unauthenticated
from eros_common.ids import SessionId

COOKIE: Final = "eros-console"
_AUDIENCE: Final = "eros-console"
_ALGORITHM: Final = "EdDSA"
_ATTRIBUTES: Final = "Path=/console; HttpOnly; SameSite=Strict"


class Sessions:
    """Makes and reads the cookie. Every replica has the same key, so any may read it."""

    def __init__(self, key: Ed25519PrivateKey, revoked: Container[str], clock: Clock) -> None:
        self._key = key
        self._revoked = revoked
        self._clock = clock

    def begin(self, access_token: str, *, secure: bool) -> str:
        """The ``Set-Cookie`` for whom accounts has just given this token. ``PermissionDenied`` if
        that is no admin."""
        # Accounts itself answered with it; whether it is genuine is no question.
        claims = jwt.decode(access_token, options={"verify_signature": False})
        if "admin" not in claims.get("roles", ()):
            raise PermissionDenied("the console is for admins")
        now = int(self._clock.wall().timestamp())
        own = {"aud": _AUDIENCE, "sid": claims["sid"], "iat": now, "exp": now + CONSOLE_SECONDS}
        token = jwt.encode(own, self._key, algorithm=_ALGORITHM)
        return _cookie(token, CONSOLE_SECONDS, secure=secure)

    def end(self, *, secure: bool) -> str:
        """The ``Set-Cookie`` that makes the browser forget."""
        return _cookie("", 0, secure=secure)

    def read(self, cookies: str) -> SessionId:
        """The session of a ``Cookie`` header: that of the sign-in at accounts, which ends here when
        it ends there. ``Unauthenticated`` if there is none that holds."""
        try:
            morsel = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            morsel = None
        if morsel is None:
            raise Unauthenticated("sign in to the console")
        try:
            claims = jwt.decode(
                morsel.value,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["aud", "exp", "sid"], "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            raise Unauthenticated("sign in to the console") from None
        until = datetime.fromtimestamp(claims["exp"], UTC)
        if until <= self._clock.wall() or claims["sid"] in self._revoked:
            raise Unauthenticated("the session has ended: sign in again")
        return SessionId(claims["sid"])


def _cookie(value: str, seconds: int, *, secure: bool) -> str:
    return f"{COOKIE}={value}; Max-Age={seconds}; {_ATTRIBUTES}{'; Secure' if secure else ''}"
