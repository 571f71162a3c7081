"""Giving free workers something to do. Pure."""

from __future__ import annotations

import math

from eros_common.ids import BatchId
from eros_scheduler.core.answers import Claimed, ClaimFailed
from eros_scheduler.core.instructions import Attempt, Claim, Leased, Release, SendLease
from eros_scheduler.core.model import ClaimId, HeldJob, JobKind, LeasedRow, Now
from eros_scheduler.core.state import Claiming, Lease, State, Worker
from eros_scheduler.core.yielding import begin_turn, may_start, turned_down


def claim_for_idle(state: State, now: Now) -> None:
    for worker in state.workers.values():
        claim_for(state, worker, now)


def claim_for(state: State, worker: Worker, now: Now) -> None:
    """Look for work for a worker, if it is free and work may be given out."""
    if not worker.idle or state.draining_seconds is not None or not state.watch.seeing(now.wall):
        return
    claim = ClaimId(state.number())
    worker.claim = claim
    # Who woke a moment ago may still be asleep in the job rows that this claim will see.
    state.claims[claim] = Claiming(worker.worker_id, worker.session, set(state.waking))
    attempts = tuple(_attempt(state, kind) for kind in order(state, worker, now))
    state.out.append(Claim(claim, worker.worker_id, attempts, now.night))


def order(state: State, worker: Worker, now: Now) -> list[JobKind]:
    """The deepest phase first and nobody's work last, but before them whatever was not tried for a
    while, longest first; and before all of these, what the worker is at, for the length of a stint.

    Without stints people who are due for every kind would go through all of them in batches of the
    smallest, because whoever is done with one kind is at once ripe for a deeper one.
    """
    rules = state.settings.rules
    kinds = [
        kind
        for kind in rules
        if kind in worker.kinds
        and may_start(state, kind)
        and not turned_down(state, worker, kind, now)
    ]

    def rank(kind: JobKind) -> tuple[bool, float, bool, int]:
        rule = rules[kind]
        tried = state.tried.setdefault(kind, now.mono)
        aged = tried + max(state.settings.ageing_seconds, rule.rest_seconds) <= now.mono
        stays = kind is worker.stint and now.mono < worker.stint_until
        return (not stays, tried if aged else math.inf, rule.rest_seconds > 0, -rule.phase)

    return sorted(kinds, key=rank)


def _attempt(state: State, kind: JobKind) -> Attempt:
    rule = state.settings.rules[kind]
    return Attempt(kind, state.windows.open_for(rule.phase), rule.batch)


def claimed(state: State, event: Claimed, now: Now) -> None:
    """Dispatch what was claimed, but for whoever may no longer be worked on."""
    claiming = state.claims.pop(event.claim)
    for kind in event.tried:
        state.tried[kind] = now.mono
    worker = state.worker(claiming.worker, claiming.session)
    if worker is not None:
        worker.claim = None
    if worker is None or state.draining_seconds is not None or not state.watch.seeing(now.wall):
        release(state, [row.job for row in event.rows])
        return
    good = [
        row for row in event.rows if row.user_id not in claiming.woke and state.may_run(row, now)
    ]
    kept = {row.user_id for row in good}
    release(state, [row.job for row in event.rows if row.user_id not in kept])
    if good:
        _note_stint(state, worker, event, now)
        _dispatch(state, worker, good, event.lease_until, now)


def _note_stint(state: State, worker: Worker, event: Claimed, now: Now) -> None:
    kind = event.rows[0].kind
    rule = state.settings.rules[kind]
    goes_on = kind is worker.stint and event.tried == (kind,)
    if not goes_on:
        worker.stint_until = now.mono + state.settings.stint_seconds
    full = len(event.rows) == rule.batch and rule.rest_seconds == 0
    worker.stint = kind if full else None


def claim_failed(state: State, event: ClaimFailed) -> None:
    claiming = state.claims.pop(event.claim)
    worker = state.worker(claiming.worker, claiming.session)
    if worker is not None:
        worker.claim = None


def release(state: State, jobs: list[HeldJob]) -> None:
    """Give back what no worker works on."""
    if jobs:
        state.out.append(Release(tuple(jobs)))


def _dispatch(
    state: State, worker: Worker, rows: list[LeasedRow], lease_until: float, now: Now
) -> None:
    kind = rows[0].kind
    worker.ready = False
    worker.batch_id = BatchId(f"{state.settings.scheduler_id}-{state.number()}")
    worker.kind = kind
    worker.batch_size = len(rows)
    begin_turn(state, worker, now)
    worker.leases = {row.user_id: Lease.of(row) for row in rows}
    windows = state.windows
    state.out.append(
        SendLease(
            session=worker.session,
            batch_id=worker.batch_id,
            kind=kind,
            cpu_cap=state.settings.rules[kind].cpu_cap,
            leases=tuple(
                Leased(
                    user_id=row.user_id,
                    token=row.token,
                    next_due_at=windows.next_due(row.zone, now.night),
                    list_date=windows.list_date(row.zone, now.night),
                )
                for row in rows
            ),
            lease_until=lease_until,
            night_now=now.night,
        )
    )
