"""One overview of several schedulers'. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from eros.scheduler.v1 import scheduler_pb2 as pb


def merged(told: Sequence[pb.GetOverviewResponse]) -> pb.GetOverviewResponse:
    """``told`` is not empty. What each counts of the same rows is taken from the newest; workers,
    and what each counts of its own, from all. Paused is what one of them pauses."""
    whole = pb.GetOverviewResponse()
    whole.CopyFrom(max(told, key=lambda one: one.night_now.ToNanoseconds()))
    if len(told) == 1:
        return whole
    del whole.workers[:]
    # One that has just gone to another scheduler may be remembered by the first.
    workers = {worker.worker_id: worker for one in told for worker in one.workers}
    whole.workers.extend(workers[name] for name in sorted(workers))
    whole.halts = sum(one.halts for one in told)
    for kind in whole.kinds:
        _sum_up(kind, [same for one in told for same in one.kinds if same.kind == kind.kind])
    for one in told:
        if one.pause_reason and not whole.pause_reason:
            whole.pause_reason = one.pause_reason
        if one.HasField("paused_until") and (
            whole.paused_until.ToNanoseconds() < one.paused_until.ToNanoseconds()
        ):
            whole.paused_until.CopyFrom(one.paused_until)
    return whole


def _sum_up(kind: pb.KindOverview, of_each: Sequence[pb.KindOverview]) -> None:
    kind.done = sum(one.done for one in of_each)
    kind.failed = sum(one.failed for one in of_each)
    kind.batches = sum(one.batches for one in of_each)
    seconds = sum(one.mean_seconds * one.batches for one in of_each)
    kind.mean_seconds = seconds / kind.batches if kind.batches else 0.0
    ended = kind.done + kind.failed
    kind.success_rate = kind.done / ended if ended else 1.0
