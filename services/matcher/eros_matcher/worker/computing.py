"""The batch in the child: offering it, masking rows, copying snapshots, collecting what is out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from eros_common import logging, telemetry
from eros_common.ids import UserId
from eros_matcher.compute.layout import RowStatus, StopReason, Word
from eros_matcher.compute.program import BatchSpec
from eros_matcher.compute.region import TornOutcomeError
from eros_matcher.compute.slots import TornSnapshotError
from eros_matcher.worker import checkpoints
from eros_matcher.worker.child import ComputeProcess
from eros_matcher.worker.events import (
    BatchClosed,
    ChildDied,
    Event,
    Out,
    Overstayed,
    RowsLeft,
    RowsOut,
)
from eros_matcher.worker.instructions import Checkpoint, Offer
from eros_matcher.worker.leaving import LeftWatch
from eros_matcher.worker.store_fence import CheckpointGroup, CheckpointRow

log = logging.get("worker.computing")

_OUT = {RowStatus.LEFT: Out.LEFT, RowStatus.DONE: Out.DONE, RowStatus.FAILED: Out.FAILED}


class Computing:
    """Drives one compute child, and says what comes of it as events."""

    def __init__(
        self, on_event: Callable[[Event], None], *, wall: Callable[[], float] = time.time
    ) -> None:
        self._on_event = on_event
        self._wall = wall
        self.child = ComputeProcess(on_ring=self._collect, on_death=self._died)
        self._watch = LeftWatch(
            self.child.region,
            on_left=self._left,
            on_overstay=lambda: on_event(Overstayed()),
        )
        self._spec: BatchSpec | None = None
        self._users: tuple[UserId, ...] = ()
        self._rows: dict[UserId, int] = {}
        self._inside: set[int] = set()
        self._number = 0
        self._cpu_at_offer = 0.0
        self._verdicts = telemetry.meter().create_counter(
            "eros.worker.checkpoints",
            unit="{checkpoint}",
            description="Checkpoints met at resume, by verdict",
        )

    @property
    def rows_inside(self) -> int:
        """Rows that the child still has."""
        return len(self._inside)

    def start(self) -> None:
        self.child.start()

    def offer(self, offer: Offer) -> None:
        """Go on from where people were, and let the child begin."""
        spec = offer.prepared.spec
        assert spec is not None
        states = offer.prepared.states
        for verdict, count in offer.prepared.verdicts.items():
            self._count(verdict.value, count)
        self._users = offer.prepared.users
        self._rows = {user: row for row, user in enumerate(self._users)}
        self._spec = spec
        self._cpu_at_offer = self.child.cpu_seconds()
        try:
            self._number = self.child.offer(
                spec,
                [states.get(user) for user in offer.prepared.users],
                offer.cpu_cap,
                masked=[self._rows[user] for user in offer.halted],
            )
        except ValueError as error:
            self._on_event(BatchClosed(self._wall(), f"refused: {error}", 0.0))
            return
        self._inside = set(range(spec.rows))

    def mask(self, users: Iterable[UserId]) -> None:
        """From now on no chunk begins with these."""
        rows = [self._rows[user] for user in users]
        for row in rows:
            self.child.region.mask(row, StopReason.HALT)
        self.child.ring()
        self._watch.add(rows)

    def checkpoints_of(self, checkpoint: Checkpoint) -> CheckpointGroup:
        """Copy the snapshots; the child is neither asked nor waited for."""
        return CheckpointGroup(
            kind=checkpoint.kind,
            reason=checkpoint.reason.name.lower(),
            rows=tuple(
                CheckpointRow(
                    lease.user_id,
                    lease.token,
                    self._checkpoint_of(lease.user_id)
                    if lease.user_id in checkpoint.computed
                    else None,
                )
                for lease in checkpoint.leases
            ),
        )

    def _checkpoint_of(self, user: UserId) -> bytes | None:
        """None leaves the stored one: there is nothing newer, or it cannot be read."""
        assert self._spec is not None
        row = self._rows[user]
        try:
            state = self.child.region.slots[row].read().state
        except TornSnapshotError:
            self._count("torn_snapshot", 1)
            return None
        stamp = checkpoints.Stamp.of(self._spec, row)
        return None if state is None else checkpoints.encode(stamp, state)

    def _collect(self) -> None:
        """The child rang: take what is out."""
        region = self.child.region
        out: list[tuple[UserId, Out, bytes]] = []
        for row in tuple(self._inside):
            status = region.status(row)
            if status not in _OUT:
                continue
            self._inside.discard(row)
            how, data = _OUT[status], b""
            if how is not Out.LEFT:
                try:
                    data = region.outcome(row)
                except TornOutcomeError:
                    how, data = Out.FAILED, b"the result was torn"
            out.append((self._users[row], how, data))
        self._watch.look()
        if out:
            self._on_event(RowsOut(self._wall(), out))
        if self._number and region.word(Word.CLOSED) == self._number:
            self._closed()

    def _closed(self) -> None:
        self._number = 0
        self._inside.clear()
        self._watch.forget()
        if rejected := self.child.region.word(Word.REJECTED):
            self._count("rejected", rejected)
        cpu = self.child.cpu_seconds() - self._cpu_at_offer
        log.debug(
            "closed",
            rows=len(self._users),
            cpu_seconds=round(cpu, 4),
            chunk_max_ms=round(self.child.region.word(Word.CHUNK_MAX_NS) / 1e6, 2),
        )
        self._on_event(BatchClosed(self._wall(), self.child.region.error(), cpu))

    def _left(self, rows: tuple[int, ...]) -> None:
        """Out of every turn from now on, though the child may not have said so."""
        self._on_event(RowsLeft(self._wall(), tuple(self._users[row] for row in rows)))

    def _died(self, status: int) -> None:
        log.warning("child_died", status=status)
        # What it finished before it died is there to be taken.
        self._collect()
        self._watch.forget()
        self._on_event(ChildDied(self._wall(), status))

    def _count(self, verdict: str, count: int) -> None:
        self._verdicts.add(count, {"verdict": verdict})
        if verdict != checkpoints.Verdict.RESUMED.value:
            log.warning("checkpoint_discarded", verdict=verdict, count=count)
