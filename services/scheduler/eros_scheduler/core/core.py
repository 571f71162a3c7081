"""The scheduler's mind: one event at a time, instructions out. Pure."""

from __future__ import annotations

from typing import assert_never

from eros_scheduler.core import answers as an
from eros_scheduler.core import claims, halting, streams, watching, yielding
from eros_scheduler.core import events as ev
from eros_scheduler.core.instructions import Instruction, LoadZones, SendDrain, TakeExpired
from eros_scheduler.core.model import CoreSettings, HaltReason, Now, Transition
from eros_scheduler.core.state import State


class SchedulerCore:
    """`handle` each event with the clocks at that moment and carry out, in order, what it returns.

    `state` is to be read, not written.
    """

    def __init__(self, settings: CoreSettings) -> None:
        self.state = State(settings)

    def handle(self, event: ev.Event, now: Now) -> list[Instruction]:
        state = self.state
        if state.windows.move(now.night):
            for worker in state.workers.values():
                halting.halt_closed(state, worker, now)
        match event:
            case ev.Transitioned():
                watching.transitioned(state, event, now)
            case ev.HaltSent():
                halting.sent(state, event)
            case ev.HaltAcked():
                halting.acked(state, event)
            case ev.WorkerConnected():
                streams.connected(state, event, now)
            case ev.WorkerGone():
                streams.gone(state, event)
            case ev.WorkerReady():
                streams.ready(state, event, now)
            case ev.WorkerStatus():
                streams.status(state, event)
            case ev.BatchEnded():
                streams.ended(state, event, now)
            case ev.RenewAsked():
                streams.renew_asked(state, event)
            case an.Verified():
                streams.verified(state, event, now)
            case an.LeaseRenewed():
                streams.renewed(state, event, now)
            case an.Claimed():
                claims.claimed(state, event, now)
            case an.ClaimFailed():
                claims.claim_failed(state, event)
            case an.WakesApplied():
                watching.wakes_applied(state, event, now)
            case an.LeasesTaken():
                halting.halt_owned(state, event.jobs, HaltReason.FENCED, now)
            case an.ZonesKnown():
                if state.windows.learn(event.zones, now.night):
                    claims.claim_for_idle(state, now)
            case an.AsleepKnown():
                yielding.asleep_known(state, event, now)
            case ev.SnapshotBegan():
                watching.snapshot_began(state, now)
            case ev.SnapshotEnded():
                watching.snapshot_ended(state, event, now)
            case ev.WatchSilent():
                watching.silent(state, now)
            case ev.WatchBack():
                watching.back(state, now)
            case ev.PauseAsked():
                watching.pause_asked(state, event, now)
            case ev.Ticked():
                self._tick(now)
            case ev.AlarmRang():
                claims.claim_for_idle(state, now)
            case ev.DrainAsked():
                self._drain(event)
            case _:
                assert_never(event)
        done, state.out = state.out, []
        return done

    def outdated(self, sleep: Transition) -> bool:
        """Whether its person is known to have woken since, though the job rows may not know."""
        woke_at = self.state.waking.get(sleep.user_id)
        return woke_at is not None and woke_at > sleep.at

    def alarm(self, now: Now) -> float | None:
        """Wall seconds until something is to happen by itself before the next tick, if so."""
        state = self.state
        waits = [
            (state.windows.boundary - now.night).total_seconds() / state.settings.night_rate,
            state.watch.paused_until - now.wall,
        ]
        return min((wait for wait in waits if wait > 0), default=None)

    def _tick(self, now: Now) -> None:
        state = self.state
        state.out += [TakeExpired(), LoadZones()]
        yielding.look(state)
        yielding.end_turns(state, now)
        claims.claim_for_idle(state, now)

    def _drain(self, event: ev.DrainAsked) -> None:
        """Nothing more is given out; the workers keep what they have safe and go elsewhere."""
        state = self.state
        state.draining_seconds = event.grace_seconds
        for worker in state.workers.values():
            state.out.append(SendDrain(worker.session, event.grace_seconds))
