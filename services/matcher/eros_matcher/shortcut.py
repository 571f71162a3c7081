"""Lists for the gateway by the short way (see ``eros_common.shortcut``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from eros_common.ids import UserId
from eros_common.postgres import reached
from eros_common.shortcut import Read
from eros_matcher.answers import DEFAULT_LIMIT, Printed
from eros_matcher.reading import Reading

_SERVICE: Final = "/eros.matcher.v1.MatcherService"
_LIMIT: Final = re.compile("limit=([1-9]|[1-4][0-9]|50)")


class ShortLists:
    """A person's lists as they are printed, from wherever they are."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def by_method(self) -> Mapping[str, Read]:
        return {
            f"{_SERVICE}/GetDailyMatches": self.daily,
            f"{_SERVICE}/ListRecommendations": self.beyond,
        }

    async def daily(self, user: UserId, query: str) -> Printed | None:
        if query:
            return None  # the gateway says what is wrong with it
        with reached():
            return await self._reading.daily(user)

    async def beyond(self, user: UserId, query: str) -> Printed | None:
        asked = _LIMIT.fullmatch(query)
        if query and asked is None:
            return None
        limit = DEFAULT_LIMIT if asked is None else int(asked[1])
        with reached():
            return await self._reading.beyond(user, limit)
