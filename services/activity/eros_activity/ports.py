"""What activity asks of its store. Night and wall seconds since 1970, as named.

Every method raises ``StoreAway`` when the store cannot be reached; what was asked may or may not
have happened then, and may be asked again: nothing here counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from eros_activity.domain.cursor import Cursor, StreamId
from eros_activity.domain.gaps import Source
from eros_activity.domain.people import Counts, Interaction, Seen, Transition, UserKey
from eros_activity.domain.sight import Pause
from eros_common.errors import Unavailable


class StoreAway(Unavailable):
    """The store cannot be reached, or does not answer in time; ``why`` is for operators."""

    def __init__(self, why: str) -> None:
        super().__init__("the activity store does not answer; try again")
        self.why = why


class Continuity(IntEnum):
    """What the store knows of its own past, worst last."""

    SAME = 0
    """It ran on."""
    REWOUND = 1
    """The night clock was set back: people's last-seen were brought back to now."""
    RESTARTED = 2
    """Another run of the store with its data; the very last moments may be missing."""
    NEW = 3
    """There was nothing: the first start ever, or everything was lost."""


@dataclass(frozen=True, slots=True)
class Swept:
    """``epoch`` as in cursors. ``watched_since`` (night): whoever is unknown was not seen since.

    ``unwatched_seconds`` (wall) is how long ago any replica swept before; None if none ever did.
    """

    asleep: int
    continuity: Continuity
    epoch: int
    watched_since: float
    unwatched_seconds: float | None


@dataclass(frozen=True, slots=True)
class SleeperPage:
    """``next`` asks for the page behind this one; None at the end."""

    sleepers: Sequence[Transition]
    next: bytes | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one stream of the log: transitions, or a pause, or the start of an epoch."""

    stream: int
    id: StreamId
    transitions: tuple[Transition, ...] = ()
    pause: Pause | None = None
    epoch_begins: bool = False


class PeopleStore(Protocol):
    """Who was last seen when. Whatever changes is in the log in the same atomic step."""

    async def touch(self, batch: Sequence[Interaction], now: float) -> set[UserKey]:
        """Records signs of life; returns who woke.

        Last-seen never moves back. Whoever the sweep had announced asleep and is now seen behind
        the sweep's mark wakes; who is unknown, or announced asleep, and seen before the mark is
        (again) announced asleep. ``now`` is night time.
        """
        ...

    async def sweep(self, now: float, *, starting: bool = False) -> Swept:
        """Announces everybody who is idle for phase 1 by now (night), once among all replicas.

        ``starting``: the first of this replica. Only then is it believed that the night clock was
        set back; later it is this sweep that was late.
        """
        ...

    async def forget(self, now: float) -> int:
        """Forgets whoever is unseen for too long; returns how many."""
        ...

    async def erase(self, users: Sequence[UserKey], now: float) -> int:
        """Forgets these people now (night), and says so of each whether it was known or not, so
        that asking again is heard again. How many were known."""
        ...

    async def counts(self, now: float) -> Counts: ...

    async def find(self, user: UserKey) -> Seen | None: ...

    async def sleepers(self, after: bytes | None, limit: int) -> SleeperPage:
        """Everybody announced asleep, in pages. People who wake or fall asleep meanwhile may or may
        not be in it; the log has them."""
        ...

    async def recent(self, limit: int) -> list[UserKey]:
        """Who was seen last, newest first."""
        ...


class TransitionLog(Protocol):
    """The log of transitions and pauses: resumable, bounded."""

    @property
    def streams(self) -> int:
        """How many positions a cursor has."""
        ...

    async def end(self) -> Cursor:
        """Behind the last entry."""
        ...

    async def read(self, after: Cursor, limit: int) -> list[Entry]:
        """Entries behind a cursor, up to about ``limit``, none at the end.

        Raises ``CursorTooOld`` when some of them are no longer kept.
        """
        ...

    async def wait(self, after: Cursor, seconds: float) -> list[Entry]:
        """Entries behind a cursor, as soon as there are some or when the wall seconds are over.

        For whoever keeps up: it does not notice entries that are no longer kept.
        """
        ...

    async def pause(self, pause: Pause) -> bool:
        """Appends a pause, unless one that lasts as long is there."""
        ...

    async def current_pause(self) -> Pause | None:
        """The last pause, over or not."""
        ...


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A source of access-log entries that nobody reads any more, for so many wall seconds."""

    source: Source
    settled: int
    seconds: float


class SourceRegister(Protocol):
    """Which gateways' access logs are being read: a replica that reads one says so every second,
    so that the others know when nobody does."""

    async def save(self, settled: Mapping[Source, int]) -> None:
        """These are read now, and up to these numbers everything came or was given up. What is
        known of a source never goes back."""
        ...

    async def find(self, sources: Sequence[Source]) -> dict[Source, int]:
        """How far these were read, of those that are known."""
        ...

    async def abandoned(self, seconds: float) -> list[Abandoned]:
        """Those not saved for so long."""
        ...

    async def forget(self, sources: Sequence[Source], seconds: float) -> None:
        """Removes those of them that have still not been saved for so long."""
        ...
