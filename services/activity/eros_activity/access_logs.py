"""Reads the gateways' access logs: every request of a signed-in person is a sign of life.

A source (one thread of one gateway) numbers its entries, so a lost one is noticed. While a replica
reads a source it says so in the register; a source that nobody reads any more may be losing
entries. Both mean a pause.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from eros_activity.domain.gaps import Numbers, Source
from eros_activity.domain.people import Interaction
from eros_activity.lookout import Lookout
from eros_activity.ports import SourceRegister, StoreAway
from eros_activity.touching import Touches
from eros_common import logging
from eros_common.clocks import Clock

log = logging.get("activity.access_logs")

T = TypeVar("T")

_RETRY_SECONDS: Final = 0.1


class Reader:
    """One stream of a gateway."""

    def __init__(self, logs: AccessLogs) -> None:
        self._logs = logs
        self._taking: asyncio.Future[None] | None = None

    async def take(
        self, interactions: Sequence[Interaction], numbers: Mapping[Source, Sequence[int]]
    ) -> None:
        """Part of a log; returns when its signs of life are in the store."""
        # A stream that ends meanwhile does not undo what has arrived.
        self._taking = asyncio.ensure_future(self._take(interactions, numbers))
        await asyncio.shield(self._taking)

    async def taken(self) -> None:
        """Waits until what arrived is in the store."""
        if self._taking is not None:
            await self._taking

    async def _take(
        self, interactions: Sequence[Interaction], numbers: Mapping[Source, Sequence[int]]
    ) -> None:
        if interactions:
            await self._logs.touches.apply(interactions)
        for source, arrived in numbers.items():
            seen = await self._logs.numbers(source, self)
            now = self._logs.clock.monotonic()
            for number in arrived:
                seen.observe(number, now)


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
        self._closed = asyncio.Event()
        self.touches = touches
        self.clock = clock

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reader]:
        """One stream, while it lasts."""
        reader = Reader(self)
        try:
            yield reader
        finally:
            await self._close(reader)

    async def close(self) -> None:
        """Ends all streams: gateways go on at another replica."""
        self._closed.set()

    async def until_closed(self, messages: AsyncIterator[T]) -> AsyncIterator[T]:
        """The messages of a stream, until it ends or is ended here."""
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            while True:
                coming = asyncio.ensure_future(anext(messages, None))
                await asyncio.wait({coming, closed}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    return
                if (message := coming.result()) is None:
                    return
                yield message
        finally:
            closed.cancel()

    async def numbers(self, source: Source, reader: Reader) -> Numbers:
        """The numbers seen of a source, by whichever reader; this one reads it from now on."""
        while source not in self._numbers:
            try:
                known = await self._register.find([source])
            except StoreAway as error:
                self._lookout.fails("sources", error.why)
                await self.clock.sleep(_RETRY_SECONDS)
            else:
                self._numbers.setdefault(source, Numbers(known.get(source, 0)))
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
                for abandoned in await self._register.take_abandoned(self._silence):
                    reason = f"nobody reads the access log of gateway {abandoned.source}"
                    self._lookout.blind(abandoned.seconds, reason)
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

    async def _save(self, reader: Reader | None = None) -> None:
        await self._register.save(
            {
                source: self._numbers[source].settled
                for source, its_reader in self._readers.items()
                if reader is None or its_reader is reader
            }
        )

    async def _close(self, reader: Reader) -> None:
        """The stream ended: another one must continue its sources, here or at another replica."""
        await reader.taken()
        try:
            await self._save(reader)
        except StoreAway as error:
            log.warning("not_saved", why=error.why)
        for source in [s for s, its_reader in self._readers.items() if its_reader is reader]:
            del self._readers[source]
            del self._numbers[source]
