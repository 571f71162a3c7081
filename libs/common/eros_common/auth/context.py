"""Who calls: the identity of the request being served."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from eros_common.errors import Unauthenticated
from eros_common.ids import SessionId, UserId

ADMIN = "admin"
CONSOLE_SECONDS = 8 * 3600
"""How long an admin's sign-in to the console holds: beyond all access tokens of its session."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """A signed-in person, as their access token says."""

    user_id: UserId
    session_id: SessionId
    roles: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles


_user: ContextVar[UserIdentity | None] = ContextVar("eros_user", default=None)
_service: ContextVar[str | None] = ContextVar("eros_service", default=None)


def current_user() -> UserIdentity:
    """The person who calls; ``Unauthenticated`` outside of a method for signed-in people."""
    identity = _user.get()
    if identity is None:
        raise Unauthenticated("sign in first")
    return identity


def current_service() -> str:
    """The service that calls; ``Unauthenticated`` outside of a method for services."""
    name = _service.get()
    if name is None:
        raise Unauthenticated("only other services may call this")
    return name


def set_user(identity: UserIdentity) -> None:
    """Used by the auth interceptor and by tests of code below it."""
    _user.set(identity)


def set_service(name: str) -> None:
    """Used by the auth interceptor and by tests of code below it."""
    _service.set(name)
