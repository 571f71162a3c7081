"""The core among the living: events in, messages out at once, time passing. One event loop's."""

from __future__ import annotations

import asyncio
from itertools import count

from eros_common import logging
from eros_common.clocks import Clock
from eros_common.tasks import Batcher
from eros_scheduler import wire
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.core import SchedulerCore
from eros_scheduler.core.model import HaltRecord, Now, SessionId
from eros_scheduler.effects import Effects
from eros_scheduler.metrics import BatchMetrics, HaltMetrics
from eros_scheduler.outbox import Outbox
from eros_scheduler.ports import JobStore
from eros_scheduler.tracing import Traced

log = logging.get("scheduler.engine")


class Engine:
    """`run` it in the background and, once `started`, `post` events."""

    def __init__(
        self,
        core: SchedulerCore,
        jobs: JobStore,
        halts: Batcher[HaltRecord],
        clock: Clock,
        *,
        lease_seconds: float,
        tick_seconds: float,
    ) -> None:
        self.core = core
        self.started = asyncio.Event()
        self._halts = halts
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._effects = Effects(jobs, clock, self.post, core.outdated, lease_seconds=lease_seconds)
        self._outboxes: dict[SessionId, Outbox] = {}
        self._numbers = count(1)
        self._metrics = HaltMetrics()
        self._batches = BatchMetrics()
        self._no_sessions = asyncio.Event()
        self._no_sessions.set()

    def open_session(self) -> tuple[SessionId, Outbox]:
        """A stream to a worker."""
        session, outbox = SessionId(next(self._numbers)), Outbox()
        self._outboxes[session] = outbox
        self._no_sessions.clear()
        return session, outbox

    def close_session(self, session: SessionId) -> None:
        self._outboxes.pop(session).close()
        if not self._outboxes:
            self._no_sessions.set()

    def now(self) -> Now:
        clock = self._clock
        return Now(clock.wall().timestamp(), clock.monotonic(), clock.night())

    def post(self, event: ev.Event) -> None:
        """Handle an event and begin whatever follows from it. Never waits."""
        traced = Traced.of(event)
        if isinstance(event, ev.BatchEnded):
            self._batches.ended(event, self.core.state)
        for instruction in self.core.handle(event, self.now()):
            if traced and isinstance(instruction, do.SendHalt):
                self._send(instruction, traced)
            else:
                self._carry_out(instruction)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._effects.run(self.started.set))
            await self.started.wait()
            await self._let_time_pass()

    async def drain(self, grace_seconds: float) -> None:
        """Have the workers keep what they have safe and go; wait until they have, or the grace is
        over."""
        self.post(ev.DrainAsked(grace_seconds))
        try:
            async with asyncio.timeout(grace_seconds):
                await self._no_sessions.wait()
        except TimeoutError:
            log.warning("drain_slow", streams=len(self._outboxes))
        for outbox in self._outboxes.values():
            outbox.close()
        await self._halts.drain()

    async def _let_time_pass(self) -> None:
        """The tick, and the moments in between that the core names."""
        next_tick = self._clock.monotonic()
        while True:
            mono = self._clock.monotonic()
            if mono >= next_tick:
                next_tick = mono + self._tick_seconds
                self.post(ev.Ticked())
            else:
                self.post(ev.AlarmRang())
            alarm = self.core.alarm(self.now())
            wait = next_tick - mono
            await self._clock.sleep(wait if alarm is None else min(wait, alarm))

    def _send(self, instruction: wire.Sent, traced: Traced | None = None) -> None:
        outbox = self._outboxes.get(instruction.session)
        if outbox is None:
            return
        if isinstance(instruction, do.SendLease):
            self._batches.sent(instruction)
        message = wire.message(instruction, self.core.state.settings.scheduler_id, self.now().wall)
        if traced:
            traced.mark(message.halt, self.now().wall)
        outbox.put(message)

    def _carry_out(self, instruction: do.Instruction) -> None:
        match instruction:
            case (
                do.SendHalt()
                | do.SendWelcome()
                | do.SendLease()
                | do.SendRenewed()
                | do.SendDrain()
            ):
                self._send(instruction)
            case do.EndStream():
                outbox = self._outboxes.get(instruction.session)
                if outbox is not None:
                    outbox.close()
            case do.RecordHalt():
                self._metrics.ended(instruction.record)
                if not self._halts.offer(instruction.record):
                    log.warning("halt_not_recorded", waiting=len(self._halts))
            case _:
                self._effects.begin(instruction)
