"""Activity's messages as what they mean, and back."""

from __future__ import annotations

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from eros.activity.v1 import activity_pb2 as pb
from eros_activity.domain.people import Counts
from eros_activity.watching import Update


def timestamp(instant: datetime | float) -> Timestamp:
    """Of a UTC instant, or of seconds since 1970."""
    message = Timestamp()
    if isinstance(instant, datetime):
        message.FromDatetime(instant)
    else:
        message.FromNanoseconds(round(instant * 1e9))
    return message


def update_message(
    update: Update, *, sent_at: datetime, watched_since: float | None
) -> pb.WatchTransitionsResponse:
    message = pb.WatchTransitionsResponse(
        cursor=update.cursor.encode() if update.cursor is not None else "",
        transitions=[
            pb.Transition(
                user_id=t.user,
                kind=int(t.kind),  # type: ignore[arg-type]
                at=t.at,
                touched_at=t.touched_wall,
                traceparent=t.trace,
            )
            for t in update.transitions
        ],
        snapshot=update.snapshot,
        snapshot_end=update.snapshot_end,
        sent_at=timestamp(sent_at),
    )
    if update.pause is not None:
        message.paused_until.CopyFrom(timestamp(update.pause.until))
        message.pause_reason = update.pause.reason
    if update.snapshot and watched_since is not None:
        message.watched_since = watched_since
    return message


def stats_message(counts: Counts, *, paused_until: float | None, uptime: float) -> pb.ActivityStats:
    return pb.ActivityStats(
        known_users=counts.known,
        awake=counts.awake,
        phase1=counts.phase1,
        phase2=counts.phase2,
        phase3=counts.phase3,
        open_sessions=counts.open_sessions,
        paused_until=None if paused_until is None else timestamp(paused_until),
        uptime=uptime,
    )
