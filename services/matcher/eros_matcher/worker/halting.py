"""Halting rows. Pure.

Two things happen to a halted row and neither waits for the other: its checkpoint becomes durable
(the database), and it leaves the computation (the child). Each halt is told of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eros_common.ids import JobToken, UserId
from eros_matcher.worker.events import Checkpointed
from eros_matcher.worker.flight import Asked, Durable, Flight, Left, Row, Stage
from eros_matcher.worker.instructions import Acked, Checkpoint, Mask
from eros_matcher.worker.jobs import HaltReason, Held
from eros_matcher.worker.outbox import Outbox


def halt(
    flight: Flight, rows: Sequence[Row], reason: HaltReason, asked: Asked | None, out: Outbox
) -> None:
    """Stop work on `rows`; what has ended, or is about to, is only acknowledged."""
    fresh = [row for row in rows if row.stage in {Stage.LEASED, Stage.RUNNING, Stage.READY}]
    for row in fresh:
        row.stage, row.halt_reason = Stage.HALTED, reason
        row.result = row.error = None
    computing = tuple(row.lease.user_id for row in fresh if row.computing)
    if computing:
        # First of all: from now on no chunk begins with them.
        out.add(Mask(computing))
    submit(flight, fresh, out)
    for row in rows:
        if not row.computing and row.left is None:
            row.left = Left(out.now, killed=False)
        if asked is not None:
            row.asked.append(asked)
            if row.durable is not None:
                _ack_durable(flight, row, row.durable, [asked], out)
            if row.left is not None:
                _ack_left(flight, row, row.left, [asked], out)


def submit(flight: Flight, rows: Iterable[Row], out: Outbox) -> None:
    """Have the checkpoints of `rows` committed, one instruction a reason."""
    by_reason: dict[HaltReason, list[Row]] = {}
    for row in rows:
        assert row.halt_reason is not None
        row.submitted = True
        by_reason.setdefault(row.halt_reason, []).append(row)
    for reason, group in by_reason.items():
        out.add(
            Checkpoint(
                kind=flight.kind,
                reason=reason,
                leases=tuple(row.lease for row in group),
                computed=frozenset(row.lease.user_id for row in group if row.computed),
            )
        )


def submit_again(flight: Flight, out: Outbox) -> None:
    """Those the database was not there for."""
    submit(flight, [row for row in flight.at_stage(Stage.HALTED) if not row.submitted], out)


def unavailable(flight: Flight, jobs: Iterable[Held]) -> None:
    """The database was not there: nothing is known to be committed."""
    for _, row in flight.of_jobs(jobs):
        row.submitted = False


def checkpointed(flight: Flight, event: Checkpointed, out: Outbox) -> None:
    """The checkpoints are durable; who has no new fence was fenced before the halt came."""
    for job, row in flight.of_jobs(event.jobs):
        token = event.tokens.get(job)
        # With the account the fence went: there is nothing to keep, and it was this halt that
        # stopped the row.
        stopped = token is not None or row.halt_reason is HaltReason.DELETED
        durable = Durable(event.at, token or JobToken(0), was_running=stopped)
        ended(flight, row, durable, out)


def ended(flight: Flight, row: Row, durable: Durable, out: Outbox) -> None:
    """Nothing is left to write for the row."""
    row.stage, row.durable = Stage.ENDED, durable
    _ack_durable(flight, row, durable, row.asked, out)


def out_of_computation(
    flight: Flight, users: Iterable[UserId], out: Outbox, *, killed: bool = False
) -> None:
    """The child can no longer touch these rows."""
    for row in flight.among(users):
        was_computing, row.computing = row.computing, False
        if was_computing and row.left is None and row.stage in {Stage.HALTED, Stage.ENDED}:
            row.left = Left(out.now, killed)
            _ack_left(flight, row, row.left, row.asked, out)


def _ack_durable(
    flight: Flight, row: Row, durable: Durable, asked: Iterable[Asked], out: Outbox
) -> None:
    for halt_asked in asked:
        out.ack_durable(halt_asked.nonce, _acked(flight, row, halt_asked, durable.at))


def _ack_left(flight: Flight, row: Row, left: Left, asked: Iterable[Asked], out: Outbox) -> None:
    for halt_asked in asked:
        out.ack_left(halt_asked.nonce, _acked(flight, row, halt_asked, left.at))


def _acked(flight: Flight, row: Row, asked: Asked, at: float) -> Acked:
    return Acked(
        user_id=row.lease.user_id,
        kind=flight.kind,
        token=row.lease.token if row.durable is None else row.durable.token,
        at=at,
        received_at=asked.received_at,
        killed=row.left is not None and row.left.killed,
        was_running=row.halt_reason is not None if row.durable is None else row.durable.was_running,
    )
