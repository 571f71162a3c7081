"""One batch in the compute child: load, then chunk after chunk until no row is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from eros_matcher.compute.bells import Bell
from eros_matcher.compute.layout import RowStatus, StopReason, Word
from eros_matcher.compute.pacing import ChunkSizer, Ledger, SnapshotRhythm
from eros_matcher.compute.program import CheckpointRejectedError, Program, RowError
from eros_matcher.compute.region import ChildRegion

_OUT = frozenset({RowStatus.LEFT, RowStatus.DONE, RowStatus.FAILED})


class NoProgressError(Exception):
    """A chunk did nothing, finished nobody and said nothing."""


def cpu_seconds() -> float:
    """CPU time of this process, start-up included."""
    return time.process_time_ns() / 1e9


class BatchRun:
    """Runs the open program. Between turns no row is touched: the header's TURN is even."""

    def __init__(
        self,
        program: Program,
        region: ChildRegion,
        ledger: Ledger,
        *,
        inbox: Bell,
        outbox: Bell,
        rhythm: SnapshotRhythm,
    ) -> None:
        self._program = program
        self._region = region
        self._ledger = ledger
        self._inbox = inbox
        self._outbox = outbox
        self._rhythm = rhythm
        self._sizer = ChunkSizer()
        self._alive: dict[int, None] = {}
        self._unexplained = False

    def run(self) -> None:
        """Until every row is out."""
        self._turn(self._load_all)
        while self._alive:
            self._pause()
            self._turn(self._work)

    def _pause(self) -> None:
        """Wait for the rest that the cap asks for; a ring cuts it short to look at the masks."""
        self._ledger.settle(wall=time.monotonic(), cpu=cpu_seconds())
        while (wait := self._ledger.wait) > 0 and not self._inbox.wait(wait):
            self._ledger.settle(wall=time.monotonic(), cpu=cpu_seconds())

    def _turn(self, work: Callable[[], None]) -> None:
        """Do `work` within one turn, and say what came of it."""
        turn = self._region.word(Word.TURN)
        self._region.publish(Word.TURN, turn + 1)
        before = len(self._alive)
        work()
        cpu = cpu_seconds()
        self._ledger.settle(wall=time.monotonic(), cpu=cpu)
        self._region.publish(Word.CPU_NS, round(cpu * 1e9))
        self._region.publish(Word.BEAT_NS, time.monotonic_ns())
        self._region.publish(Word.DEBT_NS, round(self._ledger.debt * 1e9))
        self._region.publish(Word.TURN, turn + 2)
        if len(self._alive) < before:
            self._outbox.ring()

    def _work(self) -> None:
        """Ask, do, move on: rows told to stop leave; the others get one chunk if it is due."""
        self._inbox.clear()
        for row in tuple(self._alive):
            self._leave_if_told(row)
        if not self._alive or self._ledger.wait > 0:
            return
        self._chunk()
        self._publish_snapshots()

    def _leave_if_told(self, row: int) -> None:
        if self._region.stop_reason(row) is not StopReason.GO_ON:
            del self._alive[row]
            self._program.drop(row)
            self._region.set_status(row, RowStatus.LEFT)

    def _load_all(self) -> None:
        for row in range(self._region.layout.rows):
            if self._region.status(row) in _OUT:
                continue
            if self._region.stop_reason(row) is not StopReason.GO_ON:
                self._region.set_status(row, RowStatus.LEFT)
            elif self._load(row):
                self._region.set_status(row, RowStatus.RUNNING)
                self._alive[row] = None
        self._outbox.ring()

    def _load(self, row: int) -> bool:
        """Put the row where its last snapshot says; False when it failed."""
        slot = self._region.slots[row]
        try:
            try:
                self._program.load(row, slot.read().state)
            except CheckpointRejectedError:
                self._region.publish(Word.REJECTED, self._region.word(Word.REJECTED) + 1)
                slot.write(None)
                self._program.load(row, None)
        except Exception as error:  # noqa: BLE001  a program may raise anything: its row fails
            self._fail(row, error)
            return False
        return True

    def _chunk(self) -> None:
        units = self._sizer.units
        began, cpu = time.monotonic(), cpu_seconds()
        try:
            progress = self._program.chunk(tuple(self._alive), units)
        except RowError as error:
            self._fail(error.row, error)
            self._put_back()
            return
        except Exception as error:  # noqa: BLE001  find out whose fault it is
            self._isolate(error)
            return
        wall = time.monotonic() - began
        self._sizer.update(units=progress.units, wall=wall, cpu=cpu_seconds() - cpu)
        self._finish(progress.finished)
        if not progress.units and not progress.finished:
            self._fail_all(NoProgressError("a chunk did nothing"))
        region = self._region
        region.publish(Word.CHUNKS, region.word(Word.CHUNKS) + 1)
        region.publish(Word.UNITS, self._sizer.units)
        region.publish(Word.CHUNK_MAX_NS, max(region.word(Word.CHUNK_MAX_NS), round(wall * 1e9)))

    def _finish(self, rows: Sequence[int]) -> None:
        for row in rows:
            try:
                self._region.set_outcome(row, RowStatus.DONE, self._program.result(row))
            except Exception as error:  # noqa: BLE001  its row fails
                self._fail(row, error)
                continue
            del self._alive[row]
            self._program.drop(row)

    def _publish_snapshots(self) -> None:
        began = cpu_seconds()
        if not self._rhythm.due(began):
            return
        for row in tuple(self._alive):
            try:
                self._region.slots[row].write(self._program.snapshot(row))
            except Exception as error:  # noqa: BLE001  its row fails
                self._fail(row, error)
        self._rhythm.took(began=began, ended=cpu_seconds())

    def _fail(self, row: int, error: Exception) -> None:
        text = error.message if isinstance(error, RowError) else f"{type(error).__name__}: {error}"
        self._region.set_outcome(
            row, RowStatus.FAILED, text.encode()[: self._region.layout.outcome_bytes]
        )
        self._alive.pop(row, None)
        self._program.drop(row)

    def _fail_all(self, error: Exception) -> None:
        for row in tuple(self._alive):
            self._fail(row, error)

    def _put_back(self) -> None:
        for row in tuple(self._alive):
            self._load(row)

    def _isolate(self, error: Exception) -> None:
        """A chunk raised: run each row alone, so that only the guilty ones fail."""
        self._put_back()
        before = len(self._alive)
        for row in tuple(self._alive):
            if self._region.stop_reason(row) is not StopReason.GO_ON:
                continue
            try:
                progress = self._program.chunk((row,), 1)
            except Exception as own:  # noqa: BLE001  guilty
                self._fail(row, own)
            else:
                self._finish(progress.finished)
        if len(self._alive) == before:
            if self._unexplained:
                self._fail_all(error)
            self._unexplained = True
