"""Copies people's current lists to the cache, never an older one than what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from eros_common.ids import UserId
from eros_common.tasks import Breather
from eros_matcher.answers import Printed, cached_beyond, cached_daily
from eros_matcher.domain.cards import Card, presentable
from eros_matcher.domain.lists import MatchList, Source
from eros_matcher.ports import CurrentLists, HeldLists, ListCache, ListKind, Pair, Stamp

Answers = dict[tuple[ListKind, UserId], Printed]

_ENCODED: Final = {ListKind.DAILY: cached_daily, ListKind.BEYOND: cached_beyond}


class LockableLists(Protocol):
    """Stored lists that can be held still."""

    def held(
        self, users: Sequence[UserId], since: date, pairs: Sequence[Pair]
    ) -> AbstractAsyncContextManager[HeldLists]: ...


@dataclass(frozen=True, slots=True)
class CacheFiller:
    """Puts lists into the cache with the names and photos given."""

    lists: LockableLists
    cache: ListCache

    async def fill(
        self,
        known: Mapping[UserId, CurrentLists],
        cards: Mapping[UserId, Card],
        expected: Mapping[UserId, date],
        year: int,
    ) -> Answers:
        """Answers from the lists that are known to be stored, with nobody who is gone by now.

        They are cached too, but not a list that was replaced meanwhile; nor one older than
        `expected`, which would be served beyond its time; nor a preview, because the night's list
        is to be seen as soon as it is there.
        """
        users = [user for user in known if user in cards]
        pairs = _pairs(known.values())
        async with self.lists.held(users, min(expected.values()), pairs) as held:
            breather = Breather()
            answers: Answers = {}
            kept: list[tuple[ListKind, UserId, Printed]] = []
            for user in users:
                for kind in ListKind:
                    mine = known[user].of(kind)
                    if mine is None:
                        continue
                    shown = list(presentable(mine, cards[user], cards, held.gone, year))
                    answer = _ENCODED[kind](user, mine.list_date, shown, year)
                    answers[kind, user] = answer
                    if _may_be_kept(mine, held.stamps.get((kind, user)), expected[user]):
                        kept.append((kind, user, answer))
                await breather.breathe()
            if kept:
                await self.cache.put(kept)
        return answers


def _may_be_kept(mine: MatchList, stored: Stamp | None, expected: date) -> bool:
    if mine.source is Source.PREVIEW or mine.list_date < expected:
        return False
    return stored == (mine.list_date, mine.created_at)


def _pairs(lists: Iterable[CurrentLists]) -> Sequence[Pair]:
    return [
        (matches.user_id, suggestion.other_id)
        for both in lists
        for kind in ListKind
        if (matches := both.of(kind)) is not None
        for suggestion in matches.suggestions
    ]
