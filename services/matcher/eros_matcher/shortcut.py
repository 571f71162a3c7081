"""Cached lists for the gateway: a hit or nothing (see ``eros_common.shortcut``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from eros_common.ids import UserId
from eros_common.shortcut import Cached
from eros_matcher.answers import DEFAULT_LIMIT, shortened
from eros_matcher.ports import ListKind
from eros_matcher.store_cache import ValkeyLists

_SERVICE: Final = "/eros.matcher.v1.MatcherService"
_LIMIT: Final = re.compile("limit=([1-9]|[1-4][0-9]|50)")


class CachedLists:
    """What of a person's lists is in the cache."""

    def __init__(self, cache: ValkeyLists) -> None:
        self._cache = cache

    def by_method(self) -> Mapping[str, Cached]:
        return {
            f"{_SERVICE}/GetDailyMatches": self.daily,
            f"{_SERVICE}/ListRecommendations": self.beyond,
        }

    async def daily(self, user: UserId, query: str) -> bytes | None:
        return None if query else await self._cache.peek(ListKind.DAILY, user)

    async def beyond(self, user: UserId, query: str) -> bytes | None:
        asked = _LIMIT.fullmatch(query)
        if query and asked is None:
            return None  # the gateway says what is wrong with it
        data = await self._cache.peek(ListKind.BEYOND, user)
        if data is None:
            return None
        limit = DEFAULT_LIMIT if asked is None else int(asked[1])
        return shortened(data, limit)
