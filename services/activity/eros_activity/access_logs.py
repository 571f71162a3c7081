"""Reads the gateways' access logs: every request of a signed-in person is a sign of life.

A source (one thread of one gateway) numbers its entries, so a lost one is noticed. While a replica
reads a source it says so in the register; a source that nobody reads any more may be losing
entries. Both mean a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from eros_activity.domain.gaps import Numbers, Source
from eros_activity.domain.people import Interaction, UserKey
from eros_activity.lookout import Lookout
from eros_activity.ports import SourceRegister, StoreAway
from eros_activity.touching import Touches
from eros_common import logging
from eros_common.clocks import Clock

log = logging.get("activity.access_logs")

_RETRY_SECONDS: Final = 0.1
#: So many parts of one log may wait for a write together; then the gateway has to wait.
_PARTS_AHEAD: Final = 16


class Reader:
    """One stream of a gateway."""

    def __init__(self, logs: AccessLogs) -> None:
        self._logs = logs
        self._batch: asyncio.Future[AbstractSet[UserKey]] | None = None
        self._ahead = 0

    async def take(
        self, interactions: Sequence[Interaction], numbers: Mapping[Source, Sequence[int]]
    ) -> None:
        """Part of a log. Its numbers count as seen once its signs of life are in the store; a
        stream that ends before that does not undo what has arrived."""
        seen = [(await self._logs.numbers(source, self), numbers[source]) for source in numbers]
        batch = self._logs.touches.submit(interactions)
        batch.add_done_callback(partial(self._applied, seen))
        if batch is not self._batch:
            self._batch, self._ahead = batch, 0
        self._ahead += 1
        if self._ahead >= _PARTS_AHEAD:
            await asyncio.shield(batch)

    async def taken(self) -> None:
        """Waits until all that arrived is in the store."""
        if self._batch is not None:
            await asyncio.shield(self._batch)

    def _applied(
        self, seen: Sequence[tuple[Numbers, Sequence[int]]], batch: asyncio.Future[object]
    ) -> None:
        if batch.cancelled():
            return  # the service ends, and this was never written
        now = self._logs.clock.monotonic()
        for known, arrived in seen:
            for number in arrived:
                known.observe(number, now)


class AccessLogs:
    """All sources read by this replica."""

    def __init__(
        self,
        register: SourceRegister,
        touches: Touches,
        lookout: Lookout,
        clock: Clock,
        *,
        reorder_seconds: float,
        silence_seconds: float,
    ) -> None:
        self._register = register
        self._lookout = lookout
        self._reorder = reorder_seconds
        self._silence = silence_seconds
        self._numbers: dict[Source, Numbers] = {}
        self._readers: dict[Source, Reader] = {}
        self._ended: dict[Source, int] = {}
        """Sources that were read here, each with its settled number; to be saved once more."""
        self._streams: set[asyncio.Task[object]] = set()
        self._closed = False
        self.touches = touches
        self.clock = clock

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """One stream, while it lasts; left without an error where it is ended by ``close``."""
        reader = Reader(self)
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            yield reader
        except asyncio.CancelledError:
            if not self._closed:
                raise
            task.uncancel()
        finally:
            self._streams.discard(task)
            await self._close(reader)

    async def close(self) -> None:
        """Ends all streams: gateways go on at another replica."""
        self._closed = True
        for stream in self._streams:
            stream.cancel()

    async def numbers(self, source: Source, reader: Reader) -> Numbers:
        """The numbers seen of a source, by whichever reader; this one reads it from now on."""
        while source not in self._numbers:
            try:
                known = await self._register.find([source])
            except StoreAway as error:
                self._lookout.fails("sources", error.why)
                await self.clock.sleep(_RETRY_SECONDS)
            else:
                settled = max(known.get(source, 0), self._ended.pop(source, 0))
                self._numbers.setdefault(source, Numbers(settled))
        self._readers[source] = reader
        return self._numbers[source]

    async def watch(self) -> None:
        """Looks for gaps and for sources that nobody reads; a background task."""
        every = self._silence / 4
        while True:
            try:
                await self._give_up_missing()
                await self._save()
                # Saved first: what this replica reads cannot be abandoned. One that stood still
                # for too long has not swept either, and pauses for that.
                if abandoned := await self._register.abandoned(self._silence):
                    for one in abandoned:
                        reason = f"nobody reads the access log of gateway {one.source}"
                        self._lookout.blind(one.seconds, reason)
                    # Forgotten last: where this replica dies on the way, another one pauses.
                    await self._lookout.save()
                    await self._register.forget([one.source for one in abandoned], self._silence)
            except StoreAway as error:
                self._lookout.fails("sources", error.why)
            else:
                self._lookout.works("sources")
            await self.clock.sleep(every)

    async def _give_up_missing(self) -> None:
        now = self.clock.monotonic()
        overdue = {s: n for s, n in self._numbers.items() if n.overdue(now, self._reorder)}
        # The replica that read a source before may have had them, and said so only now.
        for source, settled in (await self._register.find(list(overdue))).items():
            overdue[source].settle(settled)
        for source, numbers in overdue.items():
            if lost := numbers.give_up(now, self._reorder):
                count = sum(missing.count for missing in lost)
                since = min(missing.since for missing in lost)
                reason = f"{count} access-log entries of gateway {source} are missing"
                self._lookout.blind(now - since, reason)

    async def _save(self) -> None:
        ended = dict(self._ended)
        read = {source: self._numbers[source].settled for source in self._readers}
        await self._register.save(ended | read)
        for source, settled in ended.items():
            if self._ended.get(source) == settled:
                del self._ended[source]

    async def _close(self, reader: Reader) -> None:
        """The stream ended: another one must continue its sources, here or at another replica.

        Whatever happens on the way, from here on this replica does not say that it reads them, and
        the register learns that it did.
        """
        try:
            await reader.taken()
        finally:
            for source in [s for s, its_reader in self._readers.items() if its_reader is reader]:
                del self._readers[source]
                self._ended[source] = self._numbers.pop(source).settled
        try:
            await self._save()
        except StoreAway as error:
            log.warning("saved_later", why=error.why)
