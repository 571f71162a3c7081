"""From a lease to a committed result: preparing, computing, settling. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eros_common.ids import JobToken, UserId
from eros_matcher.worker import halting
from eros_matcher.worker.events import BatchClosed, Out, Settled
from eros_matcher.worker.flight import Durable, Flight, Stage
from eros_matcher.worker.instructions import Mask, Offer, Settle
from eros_matcher.worker.jobs import Held, PreparedBatch, RowResult
from eros_matcher.worker.outbox import Outbox

SETTLE_AT = 32
"""Results that are worth a transaction while others are still computed."""
SETTLE_MOST = 64
"""Rows a transaction: a halt of one of them has to wait for it."""


def prepared(flight: Flight, batch: PreparedBatch, out: Outbox) -> None:
    """The input is there: give the child whoever was not halted meanwhile."""
    flight.preparing = False
    strangers = [user for user in (*batch.users, *batch.settled) if user not in flight.rows]
    rows = 0 if batch.spec is None else batch.spec.rows
    if strangers or rows != len(batch.users):
        not_prepared(flight, f"{len(strangers)} strangers, {rows} rows, {len(batch.users)} people")
        return
    for row in flight.among(batch.settled):
        if row.stage is Stage.LEASED:
            row.ready()
    running = [row for row in flight.among(batch.users) if row.stage is Stage.LEASED]
    for row in running:
        row.stage, row.computing, row.computed = Stage.RUNNING, True, True
    for row in flight.at_stage(Stage.LEASED):
        row.ready(error="left out when the batch was prepared")
    if running:
        flight.closed = False
        going = {row.lease.user_id for row in running}
        out.add(
            Offer(
                prepared=batch,
                halted=frozenset(batch.users) - going,
                cpu_cap=flight.batch.cpu_cap,
            )
        )


def not_prepared(flight: Flight, error: str) -> None:
    flight.preparing = False
    for row in flight.at_stage(Stage.LEASED):
        row.ready(error=error)


def rows_out(flight: Flight, rows: Iterable[tuple[UserId, Out, bytes]], out: Outbox) -> None:
    """The child is done with these rows, one way or another."""
    for user, how, data in rows:
        row = flight.rows[user]
        halting.out_of_computation(flight, (user,), out)
        if row.stage is not Stage.RUNNING:
            continue
        match how:
            case Out.DONE:
                row.ready(result=data)
            case Out.FAILED:
                row.ready(error=data.decode(errors="replace"))
            case Out.LEFT:
                row.ready(error="left the computation without being told to")


def closed(flight: Flight, event: BatchClosed, out: Outbox) -> None:
    """The child is free again."""
    flight.closed = True
    flight.cpu_seconds = event.cpu_seconds
    halting.out_of_computation(flight, tuple(flight.rows), out)
    for row in flight.at_stage(Stage.RUNNING):
        row.ready(error=event.error or "the batch was closed without it")


def started_again(flight: Flight) -> None:
    """A new child goes on with the batch that the last one left open."""
    if not flight.closed:
        for row in flight.at_stage(Stage.RUNNING):
            row.computing = True


def give_up(flight: Flight, error: str, out: Outbox) -> None:
    """Let the rows that still run fail."""
    rows = flight.at_stage(Stage.RUNNING)
    if rows:
        out.add(Mask(tuple(row.lease.user_id for row in rows)))
    for row in rows:
        row.ready(error=error)


def keep_only(flight: Flight, kept: frozenset[Held], out: Outbox) -> None:
    """Let go of what is no longer ours; what is being committed has its own fence."""
    lost = [
        flight.rows[held.user_id]
        for held in flight.held()
        if held not in kept
        and flight.rows[held.user_id].stage not in {Stage.SETTLING, Stage.HALTED}
    ]
    computing = tuple(row.lease.user_id for row in lost if row.computing)
    if computing:
        out.add(Mask(computing))
    for row in lost:
        halting.ended(flight, row, Durable(out.now, JobToken(0), was_running=False), out)


def settle(flight: Flight, out: Outbox, *, at_once: bool) -> None:
    """Commit what is ready: one transaction at a time, when it is worth it."""
    if flight.any_at(Stage.SETTLING):
        return
    ready = flight.at_stage(Stage.READY)
    more_to_come = flight.any_at(Stage.LEASED, Stage.RUNNING)
    if not ready or (more_to_come and len(ready) < SETTLE_AT and not at_once):
        return
    chosen = ready[:SETTLE_MOST]
    for row in chosen:
        row.stage = Stage.SETTLING
    out.add(
        Settle(
            kind=flight.kind,
            results=[RowResult(row.lease, row.result) for row in chosen if row.error is None],
            failures=[(row.lease, row.error) for row in chosen if row.error is not None],
        )
    )


def settled(flight: Flight, event: Settled, out: Outbox) -> None:
    """Committed; a halt that came meanwhile learns that the job had ended."""
    for row in flight.among(event.users):
        user = row.lease.user_id
        row.settled = user in event.completed or user in event.failed
        halting.ended(flight, row, Durable(event.at, JobToken(0), was_running=False), out)


def refused(flight: Flight, users: Sequence[UserId], error: str) -> None:
    """The results cannot be written: they fail, each with what it already had against it."""
    for row in flight.among(users):
        row.ready(error=row.error or error)


def put_back(flight: Flight, users: Sequence[UserId]) -> None:
    """The database is not there: what could not be settled is ready again, result and all."""
    for row in flight.among(users):
        row.stage = Stage.READY
