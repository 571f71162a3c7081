"""Why a job runs or does not, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from eros_scheduler.core.model import ANYWHERE, RULES, JobKind, Now
from eros_scheduler.core.state import State
from eros_scheduler.core.yielding import may_start
from eros_scheduler.ports import JobState, JobView


class Standing(IntEnum):
    """The numbers are those of the protocol."""

    RUNNING = 1
    READY = 2
    NOT_DUE = 3
    AWAKE = 4
    NOT_IDLE_ENOUGH = 5
    WINDOW_CLOSED = 6
    BEHIND_ANOTHER = 7
    BACKING_OFF = 8
    DEAD = 9
    PAUSED = 10
    NO_WORKER = 11
    FEW_SLEEP = 12


@dataclass(frozen=True, slots=True)
class Explanation:
    """`until` is night time, but wall time for what runs, backs off or is paused."""

    standing: Standing
    why: str
    until: datetime | None = None


def explain(job: JobView, siblings: Sequence[JobView], state: State, now: Now) -> Explanation:
    """`siblings` are all jobs of the same person."""
    night = now.night
    match job.state:
        case JobState.LEASED:
            why = f"with {job.owner} since its lease; renewed while the worker is alive"
            return Explanation(Standing.RUNNING, why, job.lease_until)
        case JobState.DEAD:
            why = f"given up: {job.last_error or 'no reason was kept'}; retry it, or it comes back"
            return Explanation(Standing.DEAD, f"{why} when the profile changes")
        case JobState.BACKING_OFF:
            why = f"failed {job.attempts} times, last: {job.last_error}"
            return Explanation(Standing.BACKING_OFF, why, job.back_at)
        case JobState.QUEUED | JobState.WAITING:
            return _of_queued(job, siblings, state, now, night)


def _of_queued(
    job: JobView, siblings: Sequence[JobView], state: State, now: Now, night: datetime
) -> Explanation:
    rule = state.settings.rules.get(job.kind, RULES[job.kind])
    if job.due_at is None or job.due_at > night:
        why = "done for tonight" if job.due_at else "due when the match is done"
        return Explanation(Standing.NOT_DUE, why, job.due_at)
    if job.asleep_since is None or job.rested_at is None:
        return Explanation(Standing.AWAKE, "awake, or never heard of")
    if job.rested_at > night:
        idle = (night - job.asleep_since).total_seconds() / 60
        why = f"idle for {idle:.0f} min, which is not yet phase {int(rule.phase)}"
        return Explanation(Standing.NOT_IDLE_ENOUGH, why, job.rested_at)
    solo = job.solo_at is not None and job.solo_at <= night
    if not solo and state.windows.cap(job.zone, night) < rule.phase:
        zone = job.zone or state.settings.default_zone
        where = "no window is" if zone == ANYWHERE else f"the window in {zone} is not"
        why = f"{where} open for phase {int(rule.phase)}"
        return Explanation(
            Standing.WINDOW_CLOSED, why, state.windows.opens(job.zone, night, rule.phase)
        )
    for other in siblings:
        first = other.kind < job.kind and other.due_at is not None and other.due_at <= night
        if other.kind is not job.kind and (
            other.state is JobState.LEASED or (first and other.state is not JobState.DEAD)
        ):
            return Explanation(
                Standing.BEHIND_ANOTHER, f"{other.kind.name.lower()} of the same person comes first"
            )
    return _of_ready(job.kind, state, now)


def _of_ready(kind: JobKind, state: State, now: Now) -> Explanation:
    if not state.watch.seeing(now.wall):
        until = state.watch.paused_until
        return Explanation(
            Standing.PAUSED,
            state.watch.reason or "who sleeps is not known yet",
            datetime.fromtimestamp(until, UTC) if until > now.wall else None,
        )
    if not any(kind in worker.kinds for worker in state.workers.values()):
        return Explanation(Standing.NO_WORKER, "no worker of this scheduler can do it")
    if not may_start(state, kind):
        share = state.settings.rules[kind].asleep_share
        why = f"{state.asleep_share:.0%} of the people sleep, and it begins at {share:.0%}"
        return Explanation(Standing.FEW_SLEEP, why)
    return Explanation(Standing.READY, "the next free worker takes it")
