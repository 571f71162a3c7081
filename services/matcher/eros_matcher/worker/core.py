"""The worker's mind: events in, instructions out. No I/O, no clock, no task. Pure."""

from __future__ import annotations

from typing import assert_never

from eros_common.ids import JobToken
from eros_matcher.worker import events as ev
from eros_matcher.worker import halting, results
from eros_matcher.worker import instructions as do
from eros_matcher.worker.flight import Asked, Flight, Stage
from eros_matcher.worker.jobs import HaltReason, JobKind
from eros_matcher.worker.outbox import Outbox

DEATHS_MOST = 3
"""Deaths of the child, not by our hand, until the batch (or the worker) is given up."""


class WorkerCore:
    """`handle` one event at a time and carry out what it returns, in order."""

    def __init__(self) -> None:
        self.flight: Flight | None = None
        self._now = 0.0
        self._welcome = False
        self._asked_for_work = False
        self._draining = False
        self._leaving = False
        self._stream_ended = False
        self._killing = False
        self._deaths = 0
        self._settle_later = False

    def handle(self, event: ev.Event) -> list[do.Instruction]:
        # As the event says: a clock that leapt ahead once must not be believed until it is true.
        self._now = getattr(event, "at", self._now)
        out = Outbox(self._now)
        flight = self.flight
        match event:
            case ev.Connected() | ev.Disconnected() | ev.Welcomed() | ev.DrainAsked():
                self._on_stream(event, out)
            case ev.Leased():
                self._leased(event, out)
            case ev.Ticked():
                self._ticked(out)
            case ev.HaltAsked():
                self._halt_asked(event, out)
            case ev.ChildDied():
                self._child_died(event.status, out)
            case ev.Overstayed():
                if not self._killing:
                    self._killing = True
                    out.add(do.KillChild())
            case _ if flight is None:
                """Late news of a batch that is over."""
            case ev.Silent():
                self._halt_all(HaltReason.SILENCE, out)
            case ev.Renewed():
                if event.batch_id == flight.batch.batch_id:
                    flight.renewed(self._now, event.lease_until)
            case ev.Prepared():
                if event.batch_id == flight.batch.batch_id:
                    results.prepared(flight, event.prepared, out)
            case ev.PrepareFailed():
                if event.batch_id == flight.batch.batch_id:
                    results.not_prepared(flight, event.error)
            case ev.PrepareUnavailable():
                if event.batch_id == flight.batch.batch_id:
                    # Given back at the next tick, so that nobody asks all the time.
                    flight.preparing = False
            case ev.RowsOut():
                results.rows_out(flight, event.rows, out)
            case ev.RowsLeft():
                halting.out_of_computation(flight, event.users, out)
            case ev.BatchClosed():
                results.closed(flight, event, out)
            case ev.Checkpointed():
                halting.checkpointed(flight, event, out)
            case ev.CheckpointUnavailable():
                halting.unavailable(flight, event.jobs)
            case ev.Settled():
                results.settled(flight, event, out)
            case ev.SettleRefused():
                results.refused(flight, event.users, event.error)
            case ev.SettleUnavailable():
                self._settle_later = True
                results.put_back(flight, event.users)
                if self._draining:
                    # Were on their way when everybody was to be halted.
                    self._halt_all(HaltReason.DRAIN, out)
            case _:
                assert_never(event)
        self._go_on(out, ticked=isinstance(event, ev.Ticked))
        return out.take()

    def _on_stream(
        self, event: ev.Connected | ev.Disconnected | ev.Welcomed | ev.DrainAsked, out: Outbox
    ) -> None:
        match event:
            case ev.Connected():
                self._stream_ended = False
                out.add(do.SendHello(self.flight.held() if self.flight else ()))
            case ev.Disconnected():
                self._welcome = self._asked_for_work = False
                self._draining = self._leaving
            case ev.Welcomed():
                self._welcome = True
                if self.flight:
                    results.keep_only(self.flight, event.kept, out)
            case ev.DrainAsked():
                self._draining = True
                self._leaving |= event.leaving
                self._halt_all(HaltReason.DRAIN, out)

    def _leased(self, event: ev.Leased, out: Outbox) -> None:
        self._asked_for_work = False
        if self.flight is not None or self._draining:
            out.add(do.GiveBack(event.batch))
            return
        self.flight = Flight.begin(event.batch, at=event.at, lease_until=event.lease_until)
        out.add(do.Prepare(event.batch))

    def _halt_asked(self, event: ev.HaltAsked, out: Outbox) -> None:
        rows = self.flight.rows if self.flight else {}
        users = event.users
        if users is None:
            users = tuple(held.user_id for held in self.flight.held()) if self.flight else ()
        if not users:
            out.ack_nothing(event.nonce)
        if self.flight:
            found = list(self.flight.among(users))
            asked = Asked(event.nonce, event.at)
            halting.halt(self.flight, found, event.reason, asked, out)
        for user in users:
            if user not in rows:
                kind: JobKind | None = None
                gone = do.Acked(
                    user, kind, JobToken(0), self._now, event.at, killed=False, was_running=False
                )
                out.ack_durable(event.nonce, gone)
                out.ack_left(event.nonce, gone)

    def _halt_all(self, reason: HaltReason, out: Outbox) -> None:
        if self.flight:
            halting.halt(self.flight, list(self.flight.rows.values()), reason, None, out)

    def _child_died(self, status: int, out: Outbox) -> None:
        killed, self._killing = self._killing, False
        flight = self.flight
        if flight:
            halting.out_of_computation(flight, tuple(flight.rows), out, killed=killed)
        if not killed:
            self._deaths += 1
        if self._deaths >= DEATHS_MOST:
            if flight is None or not flight.any_at(Stage.RUNNING):
                out.add(do.GiveUp(f"the compute child dies at once (status {status})"))
                return
            results.give_up(flight, f"the compute child died (status {status})", out)
        if flight:
            results.started_again(flight)
        out.add(do.StartChild())

    def _ticked(self, out: Outbox) -> None:
        self._settle_later = False
        flight = self.flight
        if flight is None:
            return
        if self._now >= flight.lease_until:
            self._halt_all(HaltReason.EXPIRED, out)
        elif self._welcome and self._now >= flight.renew_at:
            flight.renewed(self._now, flight.lease_until)
            out.add(do.SendRenew(flight.batch.batch_id))
        if not flight.preparing:
            unprepared = flight.at_stage(Stage.LEASED)
            halting.halt(flight, unprepared, HaltReason.UNAVAILABLE, None, out)
        halting.submit_again(flight, out)

    def _go_on(self, out: Outbox, *, ticked: bool) -> None:
        """What follows from how things stand now, whatever brought them there."""
        flight = self.flight
        if flight is not None:
            if not self._settle_later:
                results.settle(flight, out, at_once=ticked)
            if flight.preparing and not flight.any_at(Stage.LEASED):
                flight.preparing = False
                out.add(do.CancelPrepare())
            if flight.over and not flight.preparing:
                out.add_last(flight.end(self._now))
                self.flight = None
                self._deaths = 0
        if self.flight is not None or not self._welcome:
            return
        if self._draining:
            if not self._stream_ended:
                self._stream_ended = True
                out.add_last(do.EndStream())
        elif not self._asked_for_work:
            self._asked_for_work = True
            out.add_last(do.SendReady())
