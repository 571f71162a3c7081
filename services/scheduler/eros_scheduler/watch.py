"""The activity stream, read for ever: who fell asleep, who woke, and when nothing is heard."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import grpc

from eros.activity.v1 import activity_pb2 as pb
from eros.activity.v1.activity_pb2_grpc import ActivityServiceStub
from eros_common import logging
from eros_common.clocks import Clock
from eros_scheduler import wire
from eros_scheduler.core import events as ev
from eros_scheduler.engine import Engine
from eros_scheduler.ports import JobStore, SleepSnapshot, StoreUnavailableError

log = logging.get("scheduler.watch")

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 1.0
INTRODUCED_AT_ONCE = 2000
INTRODUCED_AGAIN_SECONDS = 5.0
"""To look them up is a walk over all job rows."""

_Call = grpc.aio.UnaryStreamCall[pb.WatchTransitionsRequest, pb.WatchTransitionsResponse]


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
        call: _Call = self._activity.WatchTransitions(request, wait_for_ready=True)
        try:
            while (message := await self._next(call)) is not None:
                if message.snapshot:
                    self._cursor = ""
                    self._cursor = await self._snapshot(call, message)
                else:
                    self._tell(message)
                    self._cursor = message.cursor or self._cursor
        finally:
            call.cancel()

    def _tell(self, message: pb.WatchTransitionsResponse) -> None:
        if message.transitions:
            received_at = self._clock.wall().timestamp()
            transitions = wire.transitions(message.transitions)
            self._engine.post(ev.Transitioned(transitions, received_at))

    async def _snapshot(self, call: _Call, first: pb.WatchTransitionsResponse) -> str:
        """Level the job rows with everybody who sleeps; the cursor to go on from, empty if the
        stream broke off. What happens meanwhile comes in between."""
        self._engine.post(ev.SnapshotBegan())
        self._watched_since = None
        message: pb.WatchTransitionsResponse | None = first
        async with self._jobs.snapshot() as snapshot:
            while message is not None and not message.snapshot_end:
                await self._take(message, snapshot)
                message = await self._next(call)
            if message is None:
                return ""
            await self._take(message, snapshot)
            awake = await snapshot.finish()
        log.info("synchronized", cursor=message.cursor)
        self._engine.post(ev.SnapshotEnded(awake))
        if message.watched_since:
            self._watched_since = datetime.fromtimestamp(message.watched_since, UTC)
        self._synchronized.set()
        return message.cursor

    async def _take(self, message: pb.WatchTransitionsResponse, snapshot: SleepSnapshot) -> None:
        if not message.snapshot:
            self._tell(message)
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

    async def _next(self, call: _Call) -> pb.WatchTransitionsResponse | None:
        """The next message; None when the stream ended or nothing came for too long."""
        try:
            async with asyncio.timeout(self._silence):
                message = await call.read()
        except TimeoutError:
            return None
        if not isinstance(message, pb.WatchTransitionsResponse):
            return None
        self._heard = self._clock.monotonic()
        if self._silent:
            self._silent = False
            self._engine.post(ev.WatchBack())
        if message.HasField("paused_until"):
            until = message.paused_until.ToMicroseconds() / 1e6
            self._engine.post(ev.PauseAsked(until, message.pause_reason))
        return message

    def _notice_silence(self) -> None:
        if not self._silent and self._clock.monotonic() - self._heard >= self._silence:
            self._silent = True
            log.warning("silent", seconds=self._silence)
            self._engine.post(ev.WatchSilent())
