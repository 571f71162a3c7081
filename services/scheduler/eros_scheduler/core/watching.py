"""Who sleeps and who woke, and what happens when that is not known. Pure."""

from __future__ import annotations

from dataclasses import replace

from eros_common.ids import UserId
from eros_scheduler.core import halting
from eros_scheduler.core.answers import WakesApplied
from eros_scheduler.core.claims import claim_for_idle
from eros_scheduler.core.events import PauseAsked, SnapshotEnded, Transitioned
from eros_scheduler.core.instructions import Project
from eros_scheduler.core.model import HaltReason, Now, Transition, TransitionKind
from eros_scheduler.core.state import Lease, State


def transitioned(state: State, event: Transitioned, now: Now) -> None:
    """Halt whoever woke, first of all; then have the job rows say so."""
    news: list[Transition] = []
    touched: dict[UserId, float] = {}
    forgotten: dict[UserId, float] = {}
    for transition in event.transitions:
        if transition.kind is TransitionKind.FORGOTTEN:
            # Nobody knows about them any more, as of now: nothing is done for them.
            transition = replace(transition, at=now.night)
            forgotten[transition.user_id] = transition.touched_at
            state.waking[transition.user_id] = transition.at
        elif transition.kind is not TransitionKind.ASLEEP:
            touched[transition.user_id] = transition.touched_at
            state.waking[transition.user_id] = transition.at
        news.append(transition)
    for worker in state.workers.values():
        for users, reason in ((touched, HaltReason.WOKE), (forgotten, HaltReason.DELETED)):
            hit = _held(worker.leases, users)
            halting.halt(state, worker, hit, reason, event_at=event.received_at, touched=users)
    for claiming in state.claims.values():
        claiming.woke.update(touched)
        claiming.woke.update(forgotten)
    if news:
        state.out.append(Project(news))


def _held(leases: dict[UserId, Lease], users: dict[UserId, float]) -> list[Lease]:
    if len(users) < len(leases):
        return [leases[user] for user in users if user in leases]
    return [lease for user, lease in leases.items() if user in users]


def wakes_applied(state: State, event: WakesApplied, now: Now) -> None:
    """The job rows know; whatever of these people they say is leased here is stopped."""
    for wake in event.wakes:
        if state.waking.get(wake.user_id) == wake.at:
            del state.waking[wake.user_id]
    halting.halt_owned(state, event.leased, HaltReason.WOKE, now)
    for claiming in state.claims.values():
        claiming.woke.update(owned.job.user_id for owned in event.leased)


def snapshot_began(state: State, now: Now) -> None:
    """Until it is in, whoever wakes is not seen."""
    state.watch.synchronized = False
    _halt_everything(state, now)


def snapshot_ended(state: State, event: SnapshotEnded, now: Now) -> None:
    state.watch.synchronized = True
    halting.halt_owned(state, event.awake, HaltReason.WOKE, now)
    for claiming in state.claims.values():
        claiming.woke.update(owned.job.user_id for owned in event.awake)
    claim_for_idle(state, now)


def silent(state: State, now: Now) -> None:
    """Blind: whoever wakes now is not seen."""
    state.watch.silent = True
    state.watch.reason = "nothing is heard of activity"
    _halt_everything(state, now)


def back(state: State, now: Now) -> None:
    """The gap is over. Whoever woke in it and said so to nobody says so within a heartbeat."""
    if state.watch.silent:
        state.watch.silent = False
        _pause(state, now.wall + state.settings.heartbeat_seconds, "after a gap in watching")


def pause_asked(state: State, event: PauseAsked, now: Now) -> None:
    if event.until > now.wall:
        # A pause is no longer than this; a clock that asks for a longer one is ahead.
        latest = now.wall + 2 * state.settings.heartbeat_seconds
        _pause(state, min(event.until, latest), event.reason)
        _halt_everything(state, now)


def _pause(state: State, until: float, reason: str) -> None:
    if until > state.watch.paused_until:
        state.watch.paused_until, state.watch.reason = until, reason


def _halt_everything(state: State, now: Now) -> None:
    for worker in state.workers.values():
        halting.halt_worker(state, worker, HaltReason.PAUSED, now)
