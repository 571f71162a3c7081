"""What the scheduler measures: every halt as it ends, everything else at each tick."""

from __future__ import annotations

from typing import Final

from eros_common import logging, telemetry
from eros_common.clocks import Clock
from eros_common.phases import Phase
from eros_scheduler.core.events import BatchEnded
from eros_scheduler.core.instructions import SendLease
from eros_scheduler.core.model import RULES, HaltRecord
from eros_scheduler.core.state import KindTally, State
from eros_scheduler.overview import Counting
from eros_scheduler.ports import Counts, StoreUnavailableError

log = logging.get("scheduler.metrics")

_EVERY_SECONDS: Final = 5.0
_SIZES: Final = (1, 5, 10, 20, 50, 100, 150, 200, 250, 300)
_SECONDS: Final = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600)


class HaltMetrics:
    """Of halts that are over."""

    def __init__(self) -> None:
        meter = telemetry.meter()
        self._halts = meter.create_counter(
            "eros.scheduler.halts", unit="{halt}", description="Jobs stopped while they ran"
        )
        self._duration = meter.create_histogram(
            "eros.scheduler.halt.duration",
            unit="ms",
            description="From the touch (or its news) to each stage of a halt",
            explicit_bucket_boundaries_advisory=telemetry.MILLISECONDS,
        )

        self._leg = meter.create_histogram(
            "eros.scheduler.halt.leg",
            unit="ms",
            description="Each leg of a halt by itself",
            explicit_bucket_boundaries_advisory=telemetry.MILLISECONDS,
        )

    def ended(self, halt: HaltRecord) -> None:
        reason = halt.reason.name.lower()
        self._halts.add(1, {"reason": reason, "killed": halt.killed})
        begin = halt.event_at if halt.touched_at is None else halt.touched_at
        stages = {
            "event": halt.event_at,
            "dispatched": halt.dispatched_at,
            "received": halt.received_at,
            "durable": halt.durable_at,
            "left": halt.left_at,
        }
        for stage, at in stages.items():
            if at is not None:
                # By two machines' clocks a stage may end before it began.
                milliseconds = max(0.0, at - begin) * 1000
                self._duration.record(milliseconds, {"reason": reason, "stage": stage})
        legs = {
            "event": (halt.touched_at, halt.event_at),
            "dispatch": (halt.event_at, halt.dispatched_at),
            "stream": (halt.dispatched_at, halt.received_at),
            "durable": (halt.received_at, halt.durable_at),
            "left": (halt.received_at, halt.left_at),
        }
        for leg, (since, until) in legs.items():
            if since is not None and until is not None:
                milliseconds = max(0.0, until - since) * 1000
                self._leg.record(milliseconds, {"reason": reason, "leg": leg})


class BatchMetrics:
    """Of batches, as they are sent and as they end."""

    def __init__(self) -> None:
        meter = telemetry.meter()
        self._size = meter.create_histogram(
            "eros.scheduler.batch.size",
            unit="{job}",
            description="Jobs in a batch that was sent",
            explicit_bucket_boundaries_advisory=_SIZES,
        )
        self._duration = meter.create_histogram(
            "eros.scheduler.batch.duration",
            unit="s",
            description="From the lease of a batch to its last commit",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

    def sent(self, lease: SendLease) -> None:
        self._size.record(len(lease.leases), {"kind": lease.kind.name.lower()})

    def ended(self, end: BatchEnded, state: State) -> None:
        """Before the core hears of it, which forgets what the batch was."""
        worker = state.worker(end.worker, end.session)
        if worker is not None and worker.kind is not None:
            kind = worker.kind.name.lower()
            self._duration.record(end.seconds, {"kind": kind, "failed": end.failed > 0})


class NightMetrics:
    """The state of the night; `run` it in the background."""

    def __init__(self, counting: Counting, state: State, clock: Clock) -> None:
        self._counting = counting
        self._state = state
        self._clock = clock
        self._told: dict[str, KindTally] = {}
        meter = telemetry.meter()
        self._people = meter.create_gauge(
            "eros.scheduler.people",
            unit="{person}",
            description="People asleep, by the phase their work may run in",
        )
        self._ready = meter.create_gauge(
            "eros.scheduler.jobs.ready", unit="{job}", description="Jobs that can be claimed now"
        )
        self._running = meter.create_gauge(
            "eros.scheduler.jobs.running", unit="{job}", description="Jobs under a lease"
        )
        self._dead = meter.create_gauge(
            "eros.scheduler.jobs.dead", unit="{job}", description="Jobs given up after errors"
        )
        self._oldest = meter.create_gauge(
            "eros.scheduler.jobs.oldest",
            unit="s",
            description="How long the job that waits longest could have been claimed (night time)",
        )
        self._done = meter.create_counter(
            "eros.scheduler.jobs.done", unit="{job}", description="Jobs completed"
        )
        self._failed = meter.create_counter(
            "eros.scheduler.jobs.failed", unit="{job}", description="Jobs that raised"
        )
        self._workers = meter.create_gauge(
            "eros.scheduler.workers", unit="{worker}", description="Workers connected, by state"
        )
        self._paused = meter.create_gauge(
            "eros.scheduler.paused",
            unit="1",
            description="1 while nothing is leased because who sleeps is not surely known",
        )
        self._day = meter.create_gauge(
            "eros.scheduler.matches.expected",
            unit="{person}",
            description="Where it is day: who slept in the night before and could be matched",
        )
        self._day_ready = meter.create_gauge(
            "eros.scheduler.matches.ready",
            unit="{person}",
            description="Of those, who was",
        )

    async def run(self) -> None:
        """For ever, where anybody listens."""
        while True:
            if telemetry.measuring():
                self._tell_state()
                try:
                    self._tell_counts(await self._counting.counts())
                except StoreUnavailableError as error:
                    log.warning("not_counted", error=str(error))
            await self._clock.sleep(_EVERY_SECONDS)

    def _tell_state(self) -> None:
        state = self._state
        working = sum(bool(worker.leases) for worker in state.workers.values())
        self._workers.set(working, {"state": "working"})
        self._workers.set(len(state.workers) - working, {"state": "idle"})
        seeing = state.watch.seeing(self._clock.wall().timestamp())
        self._paused.set(0 if seeing else 1)
        for kind, tally in state.tally.items():
            name = kind.name.lower()
            told = self._told.setdefault(name, KindTally())
            self._done.add(tally.done - told.done, {"kind": name})
            self._failed.add(tally.failed - told.failed, {"kind": name})
            told.done, told.failed = tally.done, tally.failed

    def _tell_counts(self, counts: Counts) -> None:
        night = self._clock.night()
        for phase in Phase:
            self._people.set(counts.sleepers.get(phase, 0), {"phase": int(phase)})
        for kind, count in counts.kinds.items():
            labels: dict[str, str | int] = {
                "kind": kind.name.lower(),
                "phase": int(RULES[kind].phase),
            }
            self._ready.set(count.ready, labels)
            self._running.set(count.running, labels)
            self._dead.set(count.dead, labels)
            self._oldest.set(count.waited(night), labels)
        self._day.set(counts.day_people)
        self._day_ready.set(counts.day_ready)
