"""The worker's part of a halt's trace: from its arrival to durable, and to the row's leaving."""

from __future__ import annotations

from collections.abc import Iterable

from eros.scheduler.v1 import work_pb2 as pb
from eros_common import telemetry

MOST = 1000
"""Traced halts that wait for their acks; beyond that the oldest are forgotten."""


class HaltTraces:
    """Remembers traced halts until they are acknowledged."""

    def __init__(self) -> None:
        self._parents: dict[tuple[str, bytes], str] = {}

    def asked(self, halt: pb.HaltBatch) -> None:
        for user in halt.users:
            if user.traceparent:
                self._parents[halt.nonce, user.user_id] = user.traceparent
        while len(self._parents) > MOST:
            del self._parents[next(iter(self._parents))]

    def acked(self, ack: pb.HaltAck) -> None:
        if not self._parents:
            return
        self._note("worker.durable", ack.nonce, ack.durable)
        self._note("worker.left", ack.nonce, ack.left)

    def _note(self, name: str, nonce: str, jobs: Iterable[pb.HaltedJob]) -> None:
        for job in jobs:
            parent = self._parents.get((nonce, job.user_id), "")
            telemetry.note(name, parent, job.received_at, job.at)
