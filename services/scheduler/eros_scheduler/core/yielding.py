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
