"""The compute child's life: wait for a batch, run it, say that it is over."""

from __future__ import annotations

import importlib
import time
from typing import cast

from eros_matcher.compute.bells import Bell
from eros_matcher.compute.files import MappedFiles
from eros_matcher.compute.layout import Word
from eros_matcher.compute.pacing import Ledger, SnapshotRhythm
from eros_matcher.compute.program import BatchInput, Program, ProgramFactory
from eros_matcher.compute.region import ChildRegion
from eros_matcher.compute.runner import BatchRun, cpu_seconds


def open_program(region: ChildRegion, files: MappedFiles) -> Program:
    """Import the factory on offer and open its program over the batch's input."""
    described = region.open()
    module, _, name = described.factory.partition(":")
    factory = cast("ProgramFactory", getattr(importlib.import_module(module), name))
    views = tuple(files.view(path) for path in described.files)
    return factory(BatchInput(region.layout.rows, region.payload(), views))


class ComputeChild:
    """Serves batches over one region until killed."""

    def __init__(self, region: ChildRegion, inbox: Bell, outbox: Bell) -> None:
        self._region = region
        self._inbox = inbox
        self._outbox = outbox
        self._files = MappedFiles()
        # Start-up is CPU time too: the ledger begins at zero, before it.
        debt = region.word(Word.OPENING_DEBT_NS) / 1e9
        self._ledger = Ledger(1.0, wall=time.monotonic(), cpu=0.0, debt=debt)

    def serve(self) -> None:
        """Never returns."""
        while True:
            number = self._region.word(Word.BATCH)
            if number == self._region.word(Word.CLOSED):
                self._inbox.wait(None)
                continue
            self._run(number)

    def _run(self, number: int) -> None:
        region = self._region
        self._ledger.set_cap(region.word(Word.CAP_PPM) / 1e6)
        for word in (Word.REJECTED, Word.ERROR_BYTES, Word.CHUNK_MAX_NS):
            region.publish(word, 0)
        region.publish(Word.OPENED, number)
        try:
            program = open_program(region, self._files)
        except Exception as error:  # noqa: BLE001  a program may raise anything: the batch fails
            region.set_error(f"{type(error).__name__}: {error}")
        else:
            try:
                BatchRun(
                    program,
                    region,
                    self._ledger,
                    inbox=self._inbox,
                    outbox=self._outbox,
                    rhythm=SnapshotRhythm(),
                ).run()
            finally:
                program.close()
        region.publish(Word.CPU_NS, round(cpu_seconds() * 1e9))
        region.publish(Word.CLOSED, number)
        self._outbox.ring()
