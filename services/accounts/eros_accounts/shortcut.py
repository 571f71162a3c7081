"""Cached profiles for the gateway: a hit or nothing (see ``eros_common.shortcut``)."""

from __future__ import annotations

from collections.abc import Mapping

from eros_accounts.ports import CachedView
from eros_accounts.store_cache import ValkeyProfileCache
from eros_common.ids import UserId
from eros_common.shortcut import Cached


class CachedProfiles:
    """What of a person's own profile is in the cache. Not of others': whether they may be seen is
    asked of the database each time."""

    def __init__(self, cache: ValkeyProfileCache) -> None:
        self._cache = cache

    def by_method(self) -> Mapping[str, Cached]:
        return {"/eros.accounts.v1.AccountsService/GetProfile": self.own}

    async def own(self, user: UserId, query: str) -> bytes | None:
        return None if query else await self._cache.peek(CachedView.OWN, user)
