"""Nobody's work makes room for people: it runs while enough of them sleep, in turns. Pure."""

from __future__ import annotations

import math

from eros_scheduler.core import halting
from eros_scheduler.core.answers import AsleepKnown
from eros_scheduler.core.instructions import LookWhoSleeps
from eros_scheduler.core.model import HaltReason, JobKind, KindRule, Now
from eros_scheduler.core.state import State, Worker

GO_ON: float = 0.5
"""What runs goes on while so much of the share that starts it still sleeps: no back and forth."""


def may_start(state: State, kind: JobKind) -> bool:
    """Whether enough people sleep for this kind."""
    return state.asleep_share >= state.settings.rules[kind].asleep_share


def look(state: State) -> None:
    """Find out who sleeps, where a worker is there whose work depends on it."""
    rules = state.settings.rules
    if any(
        rules[kind].asleep_share > 0
        for worker in state.workers.values()
        for kind in worker.kinds & rules.keys()
    ):
        state.out.append(LookWhoSleeps())


def asleep_known(state: State, event: AsleepKnown, now: Now) -> None:
    state.asleep_share = event.share
    for worker in state.workers.values():
        rule = _rule(state, worker)
        if rule is not None and event.share < rule.asleep_share * GO_ON:
            _yield(state, worker, now)


def turned_down(state: State, worker: Worker, kind: JobKind, now: Now) -> bool:
    """Whether it is others who are to be asked: a host that has another's work gives it back at
    once, is free first, and would have it again before anybody else could."""
    at = worker.turned_down.get(kind)
    return at is not None and now.mono < at + state.settings.ageing_seconds


def ended(state: State, worker: Worker, settled: int, now: Now) -> None:
    """Its batch is over, and so many rows of it are settled."""
    rule = _rule(state, worker)
    if worker.kind is None or rule is None:
        return
    state.tried[worker.kind] = now.mono
    if rule.rest_seconds == 0 or settled:
        return
    if any(not lease.halting for lease in worker.leases.values()):  # not halted, and not done
        worker.turned_down[worker.kind] = now.mono


def begin_turn(state: State, worker: Worker, now: Now) -> None:
    """The worker has a batch, or says so."""
    rule = _rule(state, worker)
    worker.turn_until = math.inf if rule is None else now.mono + rule.turn_seconds


def end_turns(state: State, now: Now) -> None:
    for worker in state.workers.values():
        if worker.leases and now.mono >= worker.turn_until:
            _yield(state, worker, now)


def _rule(state: State, worker: Worker) -> KindRule | None:
    return None if worker.kind is None else state.settings.rules.get(worker.kind)


def _yield(state: State, worker: Worker, now: Now) -> None:
    halting.halt(state, worker, worker.leases.values(), HaltReason.YIELDED, event_at=now.wall)
