"""The activity stream, read for ever: who fell asleep, who woke, and when nothing is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import grpc

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros_common import logging
from eros_common.clocks import Clock
from eros_scheduler import wire
from eros_scheduler.core import events as ev
from eros_scheduler.core.model import Transition, TransitionKind
from eros_scheduler.engine import Engine
from eros_scheduler.incoming import Call, Incoming, Message
from eros_scheduler.ports import JobStore, SleepSnapshot, StoreUnavailableError

log = logging.get("scheduler.watch")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0
INTRODUCED_AT_ONCE = 2000
INTRODUCED_AGAIN_SECONDS = 5.0
"""To look them up is a walk over all job rows."""


class Watch:
    """Level-triggered: begins with a snapshot, then goes on from the last cursor."""

    def __init__(
        self,
        activity: ActivityServiceStub,
        engine: Engine,
        jobs: JobStore,
        clock: Clock,
        *,
        silence_seconds: float,
    ) -> None:
        self._activity = activity
        self._engine = engine
        self._jobs = jobs
        self._clock = clock
        self._silence = silence_seconds
        self._cursor = ""
        self._silent = False
        self._heard = clock.monotonic()
        self._watched_since: datetime | None = None
        self._synchronized = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        await self._engine.started.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_up())
            await self._follow()

    async def _follow(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while True:
            heard = self._heard
            try:
                await self._read()
            except grpc.aio.AioRpcError as error:
                log.info("interrupted", code=error.code().name, details=error.details())
            except StoreUnavailableError as error:
                # The snapshot is torn: only a new one is the truth.
                log.warning("snapshot_failed", error=str(error))
                self._cursor = ""
            self._notice_silence()
            wait = FIRST_WAIT_SECONDS if self._heard > heard else wait
            await self._clock.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _read(self) -> None:
        """One stream until it ends or falls silent."""
        request = pb.WatchTransitionsRequest(cursor=self._cursor)
        call: Call = self._activity.WatchTransitions(request, wait_for_ready=True)
        stream = Incoming(call, self._hear, silence_seconds=self._silence)
        try:
            while (message := await stream.next()) is not None:
                if message.snapshot:
                    self._cursor = ""
                    self._cursor = await self._snapshot(stream, message)
                else:
                    self._tell(wire.transitions(message.transitions))
                    self._cursor = message.cursor or self._cursor
        finally:
            await stream.close()

    def _tell(self, transitions: Sequence[Transition]) -> None:
        if transitions:
            received_at = self._clock.wall().timestamp()
            self._engine.post(ev.Transitioned(transitions, received_at))

    async def _snapshot(self, stream: Incoming, first: Message) -> str:
        """Level the job rows with everybody who sleeps; the cursor to go on from, empty if the
        stream broke off. What happens meanwhile comes in between."""
        self._engine.post(ev.SnapshotBegan())
        self._watched_since = None
        message: Message | None = first
        async with self._jobs.snapshot() as snapshot:
            while message is not None and not message.snapshot_end:
                await self._take(message, snapshot)
                message = await stream.next()
            if message is None:
                return ""
            await self._take(message, snapshot)
            meanwhile = _Meanwhile(self._tell, message.cursor)
            finishing = asyncio.create_task(snapshot.finish())
            try:
                await stream.while_waiting_for(finishing, meanwhile.take)
                awake = await finishing
            finally:
                finishing.cancel()
                await asyncio.gather(finishing, return_exceptions=True)
        log.info("synchronized", cursor=message.cursor)
        self._engine.post(ev.SnapshotEnded(awake))
        self._tell(meanwhile.sleeps)
        if message.watched_since:
            self._watched_since = datetime.fromtimestamp(message.watched_since, UTC)
        self._synchronized.set()
        return meanwhile.cursor

    async def _take(self, message: Message, snapshot: SleepSnapshot) -> None:
        if not message.snapshot:
            self._tell(wire.transitions(message.transitions))
        elif message.transitions:
            await snapshot.add(wire.transitions(message.transitions))

    async def _follow_up(self) -> None:
        """What follows from a snapshot and takes long, beside the reading: whoever wakes meanwhile
        is heard. For ever, one after the other."""
        while True:
            await self._synchronized.wait()
            self._synchronized.clear()
            await self._jobs.tidy()
            try:
                await self._introduce()
            except (grpc.aio.AioRpcError, StoreUnavailableError) as error:
                log.warning("introduced_later", error=str(error))
                await self._clock.sleep(INTRODUCED_AGAIN_SECONDS)
                self._synchronized.set()

    async def _introduce(self) -> None:
        """Whoever activity may not know, because it lost what it knew or was never told, is idle
        since it began to watch, until another snapshot says otherwise. Of those it knows this
        changes nothing."""
        since = self._watched_since
        if since is None:
            return
        users = await self._jobs.unheard(since)
        for start in range(0, len(users), INTRODUCED_AT_ONCE):
            if self._watched_since != since:
                return
            some = users[start : start + INTRODUCED_AT_ONCE]
            at = since.timestamp()
            await self._activity.Touch(
                pb.TouchRequest(
                    interactions=[pb.Interaction(user_id=user.bytes, at=at) for user in some]
                )
            )

    def _hear(self, message: Message) -> None:
        self._heard = self._clock.monotonic()
        if self._silent:
            self._silent = False
            self._engine.post(ev.WatchBack())
        if message.HasField("paused_until"):
            until = message.paused_until.ToMicroseconds() / 1e6
            self._engine.post(ev.PauseAsked(until, message.pause_reason))

    def _notice_silence(self) -> None:
        if not self._silent and self._clock.monotonic() - self._heard >= self._silence:
            self._silent = True
            log.warning("silent", seconds=self._silence)
            self._engine.post(ev.WatchSilent())


class _Meanwhile:
    """What came while whoever is not among a snapshot's sleepers was being woken: wakes are told at
    once, so that nobody is given out who woke; sleeps afterwards, or they would be undone."""

    def __init__(self, tell: Callable[[Sequence[Transition]], None], cursor: str) -> None:
        self._tell = tell
        self.cursor = cursor
        self.sleeps: list[Transition] = []

    def take(self, message: Message) -> bool:
        """False for what begins another snapshot."""
        if message.snapshot:
            return False
        transitions = wire.transitions(message.transitions)
        asleep = [each for each in transitions if each.kind is TransitionKind.ASLEEP]
        self._tell([each for each in transitions if each.kind is not TransitionKind.ASLEEP])
        self.sleeps += asleep
        self.cursor = message.cursor or self.cursor
        return True
