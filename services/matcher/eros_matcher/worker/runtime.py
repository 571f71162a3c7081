"""The worker at work: gives events to the core and carries out what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, assert_never

from eros_common import logging, telemetry
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.budget import Budget
from eros_matcher.worker.computing import Computing
from eros_matcher.worker.core import WorkerCore
from eros_matcher.worker.halts import HaltCommitter
from eros_matcher.worker.jobs import HaltReason, LeasedBatch
from eros_matcher.worker.ports import Batches, BatchFailedError
from eros_matcher.worker.store_fence import (
    CheckpointGroup,
    CheckpointRow,
    CheckpointStore,
    StoreUnavailableError,
)
from eros_matcher.worker.stream import WorkStream

log = logging.get("worker")

TICK_SECONDS = 1.0
_TOLD_SECONDS = 0.001
IDLE_TICK_SECONDS = 4.0
IDLE_TICKS = 4
"""Of a worker that has nothing to do: its ticks are longer, and so many pass between reports."""


class WorkerGaveUpError(Exception):
    """The worker cannot go on; the process ends."""


class Worker:
    """Wires the core to the stream, the child, the batches and the halts. Everything on one loop.

    `stream_of` opens the stream that gets the worker's event handler. `between_batches` is called
    soon after a batch has ended, unless there is another one by then.
    """

    def __init__(
        self,
        *,
        stream_of: Callable[[Callable[[ev.Event], None]], WorkStream],
        store: CheckpointStore,
        batches: Batches,
        between_batches: Callable[[], None] = lambda: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._batches = batches
        self._between_batches = between_batches
        self._wall = wall
        self._core = WorkerCore()
        self.computing = Computing(self.dispatch, wall=wall)
        self.halts = HaltCommitter(store, self.dispatch, wall=wall)
        self.stream = stream_of(self.dispatch)
        meter = telemetry.meter()
        self._cpu = meter.create_gauge(
            "eros.worker.cpu", unit="1", description="Share of one core the compute child takes"
        )
        self._cpu_cap = meter.create_gauge(
            "eros.worker.cpu.cap", unit="1", description="Share of one core it may take"
        )
        self._budget = Budget(wall=time.monotonic(), cpu=self.computing.child.cpu_seconds())
        self._beyond = meter.create_gauge(
            "eros.worker.cpu.cap.error",
            unit="1",
            description="Share of a core taken beyond the caps, in the last 10 s; negative: below",
        )
        self._rows = meter.create_gauge(
            "eros.worker.rows", unit="{person}", description="People the compute child works on"
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._idle, self._busy = asyncio.Event(), asyncio.Event()
        self._gave_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def dispatch(self, event: ev.Event) -> None:
        """One event, and all that follows from it at once. Raises nothing: it is called by timers,
        by readers and by tasks that nobody waits for, and a worker that went on after an error
        would hold its batch for ever. It gives up instead."""
        try:
            self._handle(event)
        except Exception as error:
            log.exception("broken", event_type=type(event).__name__)
            self._give_up(_text(error))

    def _handle(self, event: ev.Event) -> None:
        for instruction in self._core.handle(event):
            self._carry_out(instruction)
        flight = self._core.flight
        self._budget.allow(flight.batch.cpu_cap if flight else 0.0, wall=time.monotonic())
        if flight is not None:
            self._idle.clear()
            self._busy.set()
        elif not self._idle.is_set():
            self._idle.set()
            self._busy.clear()
            # Once the scheduler has been told, which takes as long as this to answer.
            asyncio.get_running_loop().call_later(_TOLD_SECONDS, self._rest)

    def _rest(self) -> None:
        if self._core.flight is None:
            self._between_batches()

    async def run(self) -> None:
        """For ever: the tick. Raises WorkerGaveUpError."""
        idle = 0
        while True:
            if await self._tick_passed():
                self._gave_up.result()
            spent = self._budget.look(wall=time.monotonic(), cpu=self.computing.child.cpu_seconds())
            idle = idle + 1 if self._core.flight is None else 0
            # While everybody is awake nobody learns anything from it: now and then is enough.
            if idle % IDLE_TICKS <= 1:
                self.stream.send_status(
                    cpu=spent.cpu, cpu_cap=spent.cap, rows_running=self.computing.rows_inside
                )
            self._cpu.set(spent.cpu)
            self._cpu_cap.set(spent.cap)
            self._rows.set(self.computing.rows_inside)
            if spent.beyond is not None:
                self._beyond.set(spent.beyond)
            self.dispatch(ev.Ticked(self._wall()))

    async def _tick_passed(self) -> bool:
        """Waits for the next tick, which comes at once with a first batch; true: it gave up."""
        waits: set[asyncio.Future[Any]] = {self._gave_up}
        if self._core.flight is not None:
            await asyncio.wait(waits, timeout=TICK_SECONDS)
            return self._gave_up.done()
        begun = asyncio.ensure_future(self._busy.wait())
        try:
            await asyncio.wait(
                {*waits, begun},
                timeout=IDLE_TICK_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            begun.cancel()
        return self._gave_up.done()

    async def drain(self) -> None:
        """Checkpoint everything, end the stream, take nothing more."""
        self.dispatch(ev.DrainAsked(self._wall(), leaving=True))
        await self._idle.wait()
        self.stream.leave()
        await self.stream.ended.wait()

    async def close(self) -> None:
        """End what still runs: the child, a transaction under way."""
        self.stream.close()
        tasks = [*self._tasks, *([self._preparing] if self._preparing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.computing.child.close()

    def _carry_out(self, instruction: do.Instruction) -> None:
        match instruction:
            case do.SendHello() | do.SendReady() | do.SendAck() | do.SendEnd() | do.SendRenew():
                self.stream.send(instruction)
            case do.EndStream():
                self.stream.end()
            case do.Prepare(batch):
                self._preparing = asyncio.create_task(self._prepare(batch))
            case do.CancelPrepare():
                if self._preparing is not None:
                    self._preparing.cancel()
            case do.Offer():
                self.computing.offer(instruction)
            case do.Mask(users):
                self.computing.mask(users)
            case do.KillChild():
                self.computing.child.kill()
            case do.StartChild():
                self.computing.start()
            case do.GiveUp(reason):
                self._give_up(reason)
            case do.Checkpoint():
                self.halts.submit(self.computing.checkpoints_of(instruction))
            case do.GiveBack(batch):
                self.halts.submit(_given_back(batch))
            case do.Settle():
                task = asyncio.create_task(self._settle(instruction))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case _:
                assert_never(instruction)

    def _give_up(self, reason: str) -> None:
        if not self._gave_up.done():
            self._gave_up.set_exception(WorkerGaveUpError(reason))

    async def _prepare(self, batch: LeasedBatch) -> None:
        try:
            prepared = await self._batches.prepare(batch)
        except StoreUnavailableError as error:
            log.warning("prepare_unavailable", batch=batch.batch_id, error=str(error))
            self.dispatch(ev.PrepareUnavailable(batch.batch_id, self._wall()))
        except Exception as error:
            log.exception("prepare_failed", batch=batch.batch_id)
            self.dispatch(ev.PrepareFailed(batch.batch_id, self._wall(), _text(error)))
        else:
            self.dispatch(ev.Prepared(batch.batch_id, self._wall(), prepared))

    async def _settle(self, settle: do.Settle) -> None:
        users = [row.lease.user_id for row in settle.results]
        users += [lease.user_id for lease, _ in settle.failures]
        try:
            settled = await self._batches.settle(settle.kind, settle.results, settle.failures)
        except StoreUnavailableError as error:
            log.warning("unavailable", rows=len(users), error=str(error))
            self.dispatch(ev.SettleUnavailable(users))
            return
        except Exception as error:
            log.exception("settle_failed", rows=len(users))
            # Without results it is not their fault: the failures are tried again.
            self.dispatch(
                ev.SettleRefused(users, _text(error))
                if settle.results
                else ev.SettleUnavailable(users)
            )
            return
        self.dispatch(ev.Settled(self._wall(), users, settled.completed, settled.failed))


def _given_back(batch: LeasedBatch) -> CheckpointGroup:
    rows = tuple(CheckpointRow(lease.user_id, lease.token, None) for lease in batch.leases)
    return CheckpointGroup(batch.kind, HaltReason.REFUSED.name.lower(), rows)


def _text(error: Exception) -> str:
    if isinstance(error, BatchFailedError):
        return str(error)
    return f"{type(error).__name__}: {error}"
