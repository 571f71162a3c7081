"""What the matcher asks of the outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from eros_common.ids import UserId
from eros_matcher.domain.cards import Card
from eros_matcher.domain.lists import MatchList
from eros_matcher.features.model import Model


class ListKind(StrEnum):
    """The two lists a person has; the values are what their cache keys begin with."""

    DAILY = "matches:daily"
    BEYOND = "recommendations"


@dataclass(frozen=True, slots=True)
class CurrentLists:
    """What a person is shown now; None where there is none of late."""

    daily: MatchList | None = None
    beyond: MatchList | None = None

    def of(self, kind: ListKind) -> MatchList | None:
        return self.daily if kind is ListKind.DAILY else self.beyond


@dataclass(frozen=True, slots=True)
class Seen:
    """Who must not be suggested to a person: ids of 16 bytes, one after the other."""

    excluded: bytes
    """Hidden, decided, or somebody who skipped this person."""
    shown: bytes
    """On a daily list within the last 30 days, the longest ago first."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A published model."""

    version: int
    model: Model
    body: str
    published_at: datetime
    """Wall clock."""


Stamp = tuple[date, datetime]
"""Of a list: its date, and when (wall) it was made. Tells it from what replaced it."""


Pair = tuple[UserId, UserId]
"""A person and whom they might be shown."""


@dataclass(frozen=True, slots=True)
class HeldLists:
    """What is stored of people while nobody changes it."""

    stamps: Mapping[tuple[ListKind, UserId], Stamp]
    """Which the newest list of each kind is."""
    gone: AbstractSet[Pair]
    """Hidden from each other, decided by the first, or the other one has left."""


class Cards(Protocol):
    """Names, photos and filters of people, from accounts."""

    async def of(self, users: Iterable[UserId]) -> Mapping[UserId, Card]:
        """Unknown people are left out. Raises ErosError where accounts does not answer."""
        ...


class ListCache(Protocol):
    """Answers ready to send. A cache that does not answer is an empty one."""

    async def get(self, kind: ListKind, user: UserId) -> bytes | None: ...

    async def put(self, answers: Sequence[tuple[ListKind, UserId, bytes]]) -> None:
        """Keep them for 24 hours."""
        ...

    async def drop(self, users: Iterable[UserId]) -> bool:
        """Delete both lists of each; False where the cache did not answer."""
        ...
