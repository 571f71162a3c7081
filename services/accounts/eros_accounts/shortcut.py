"""One's own profile for the gateway by the short way (see ``eros_common.shortcut``)."""

from __future__ import annotations

from collections.abc import Mapping

from eros_accounts.profiles import Profiles
from eros_common.ids import UserId
from eros_common.shortcut import Read


class ShortProfiles:
    """A person's own profile as it is printed, from wherever it is. Not others': whether they may
    be seen is asked of the database each time."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles

    def by_method(self) -> Mapping[str, Read]:
        return {"/eros.accounts.v1.AccountsService/GetProfile": self.own}

    async def own(self, user: UserId, query: str) -> bytes | None:
        return None if query else await self._profiles.own(user)
