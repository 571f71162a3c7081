"""A traced touch that becomes a halt: the scheduler's part of the trace, and where it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from eros.scheduler.v1 import work_pb2 as pb
from eros_common import telemetry
from eros_scheduler.core import events as ev


@dataclass(frozen=True, slots=True)
class Traced:
    """The `traceparent` of each traced touch in an event; almost always there is none."""

    event_at: float
    by_user: Mapping[bytes, str]

    @classmethod
    def of(cls, event: ev.Event) -> Traced | None:
        if not isinstance(event, ev.Transitioned):
            return None
        found = {each.user_id.bytes: each.trace for each in event.transitions if each.trace}
        return cls(event.received_at, found) if found else None

    def mark(self, halt: pb.HaltBatch, sent_at: float) -> None:
        """Note the time from the news to the dispatch; the worker's part goes below it."""
        for user in halt.users:
            parent = self.by_user.get(user.user_id, "")
            user.traceparent = telemetry.note("scheduler.halt", parent, self.event_at, sent_at)
