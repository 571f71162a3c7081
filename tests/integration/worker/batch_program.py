"""`python -m tests.integration.worker.batch_program SOCKET PARENT_PID`: a batch process that does
what a batch's id says."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Sequence

from eros_matcher.programs.payload import LearnedModel
from eros_matcher.work.serving import serve
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, PreparedBatch, RowResult
from eros_matcher.worker.messages import Learned, Line
from eros_matcher.worker.ports import Settlement
from eros_matcher.worker.store_fence import StoreUnavailableError
from tests.unit.worker.batches import NIGHT

ECHO, WAIT, SAY, RAISE, AWAY, DIE = "echo", "wait", "say", "raise", "away", "die"
LEARN = "learn"
LEARNED = Learned(
    version=3,
    model=LearnedModel(b"", NIGHT, 0.5, b"", auc=0.7, imbalance=0.01, markets=2, blocks=9),
    at=NIGHT,
)


class Scripted:
    """`SAY` counts, in people, the batches that were waited for and given up."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._given_up = 0

    async def prepare(self, batch: LeasedBatch) -> PreparedBatch:
        users = tuple(lease.user_id for lease in batch.leases)
        match batch.batch_id:
            case "wait":
                try:
                    await asyncio.Event().wait()
                finally:
                    self._given_up += 1
            case "say":
                return PreparedBatch(None, users[: self._given_up])
            case "raise":
                raise ValueError("nothing to match with")
            case "away":
                raise StoreUnavailableError("starting up")
            case "learn":
                self._line.send(LEARNED)
            case "die":
                os._exit(3)
        return PreparedBatch(None, users)

    async def settle(
        self,
        kind: JobKind,
        results: Sequence[RowResult],
        failures: Sequence[tuple[Lease, str]],
    ) -> Settlement:
        assert kind is JobKind.MATCH
        if any(error == DIE for _, error in failures):
            os._exit(3)
        return Settlement(
            frozenset(row.lease.user_id for row in results if row.result == b"kept"),
            frozenset(lease.user_id for lease, _ in failures),
        )


async def main(fd: int) -> None:
    line = await Line.over(socket.socket(fileno=fd))
    await serve(Scripted(line), line)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
