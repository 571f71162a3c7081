"""From a policy and the ``authorization`` header to an identity, or a refusal."""

from __future__ import annotations

from collections.abc import Container

from eros_common.auth.context import UserIdentity, set_service, set_user
from eros_common.auth.tokens import ServiceTokens, UserTokens
from eros_common.errors import PermissionDenied, Unauthenticated
from eros_common.policy import Access, Policy


class Authenticator:
    """Decides whether a call may enter, and notes who calls for ``current_user`` and
    ``current_service``."""

    def __init__(
        self,
        users: UserTokens,
        services: ServiceTokens,
        revoked: Container[str] = frozenset(),
    ) -> None:
        self._users = users
        self._services = services
        self._revoked = revoked

    async def admit(self, policy: Policy, authorization: str | None) -> None:
        """Raises ``Unauthenticated`` or ``PermissionDenied``."""
        match policy.access:
            case Access.PUBLIC:
                return
            case Access.USER | Access.ADMIN:
                user = await self.user(authorization)
                if policy.access is Access.ADMIN and not user.is_admin:
                    raise PermissionDenied("only administrators may do this")
                set_user(user)
            case Access.SERVICE:
                name = await self._services.verify(_bearer(authorization))
                if name not in policy.callers:
                    raise PermissionDenied(f"the service {name} may not call this")
                set_service(name)

    async def user(self, authorization: str | None) -> UserIdentity:
        """The signed-in person. Raises ``Unauthenticated``."""
        user = await self._users.verify(_bearer(authorization))
        if user.session_id in self._revoked:
            raise Unauthenticated("this session has ended")
        return user


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise Unauthenticated("sign in first")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the authorization header must be: Bearer <token>")
    return token
