"""What one watcher is told: where everybody stands, then every change."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eros_activity.domain.cursor import Cursor, CursorTooOld
from eros_activity.domain.people import Transition
from eros_activity.domain.sight import Pause
from eros_activity.hub import Follower, Hub
from eros_activity.lookout import Lookout
from eros_activity.ports import Entry, PeopleStore
from eros_common.clocks import until_beat
from eros_common.errors import Unavailable

KEEPALIVE_SECONDS: Final = 0.9
"""Two of them within the two seconds after which a watcher is sure that it hears nothing."""
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Update:
    """``cursor`` is None where a watcher could not resume: within a snapshot."""

    cursor: Cursor | None
    transitions: Sequence[Transition] = ()
    snapshot: bool = False
    snapshot_end: bool = False
    pause: Pause | None = None


class Watching:
    """Makes the streams of updates."""

    def __init__(
        self,
        people: PeopleStore,
        hub: Hub,
        lookout: Lookout,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._people = people
        self._hub = hub
        self._lookout = lookout

    async def watch(self, cursor_text: str) -> AsyncIterator[Update]:
        """Updates for ever, one at least every KEEPALIVE_SECONDS.

        A pause that holds is told first, and each longer one at once. Raises ``Unavailable`` when
        the watcher must come again: with its cursor, or for a new snapshot.
        """
        told = 0.0
        try:
            async for update in self._updates(cursor_text):
                pause = self._lookout.active_pause()
                if pause is not None and pause.until > told:
                    told = pause.until
                    update = replace(update, pause=pause)
                yield update
        except CursorTooOld as error:
            raise Unavailable(f"{error}: come again for a snapshot") from error

    async def _updates(self, cursor_text: str) -> AsyncIterator[Update]:
        await self._hub.ready()
        cursor = await self._resumed(cursor_text)
        if cursor is None:
            cursor = await self._hub.log.end()
            async for update in self._snapshot(cursor):
                yield update
        follower = Follower(self._hub, cursor)
        while not self._hub.closed:
            entries = await follower.next(until_beat(self._wall(), KEEPALIVE_SECONDS))
            yield Update(follower.cursor, _transitions(entries))

    async def _resumed(self, cursor_text: str) -> Cursor | None:
        try:
            cursor = Cursor.decode(cursor_text, self._hub.log.streams)
            await self._hub.log.read(cursor, 1)  # refuses where something is no longer kept
        except CursorTooOld:
            return None
        return cursor

    async def _snapshot(self, cursor: Cursor) -> AsyncIterator[Update]:
        """Everybody asleep. What happens meanwhile is told at once, and once more behind the
        snapshot: there it is in its place between the snapshot and what comes."""
        meanwhile = Follower(self._hub, cursor)
        after: bytes | None = None
        while True:
            page = await self._people.sleepers(after, _PAGE)
            after = page.next
            if after is None:
                yield Update(cursor, page.sleepers, snapshot=True, snapshot_end=True)
                return
            yield Update(None, page.sleepers, snapshot=True)
            if events := _transitions(meanwhile.take()):
                yield Update(None, events)


def _transitions(entries: Sequence[Entry]) -> list[Transition]:
    return [transition for entry in entries for transition in entry.transitions]
