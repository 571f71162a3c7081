"""Settings of the activity service."""

from __future__ import annotations

from typing import Self

from pydantic import Field, PositiveFloat, model_validator

from eros_activity.domain.people import Rules
from eros_common.config import Address, NightSettings, PhaseSettings, ServiceSettings


class ActivitySettings(ServiceSettings, NightSettings, PhaseSettings):
    """A field ``x`` is read from ``EROS_X``."""

    listen: Address | None = "127.0.0.1:50052"
    als_listen: Address = "127.0.0.1:50062"
    """Where gateways stream their access logs to. No token is asked for: loopback or mesh only."""
    activity_shards: int = Field(4, ge=1, le=64)
    """Fixed once there are data."""
    heartbeat_interval_seconds: PositiveFloat = 60.0
    """How often an app in use says so (wall): after blindness, everybody awake was heard then."""
    stream_silence_seconds: PositiveFloat = 2.0
    """A part of watching that is silent for longer is blind."""
    als_reorder_seconds: PositiveFloat = 1.0
    """An access-log entry missing for longer was lost: entries come in the order of the responses'
    beginnings, but for slow readers."""
    sweep_seconds: PositiveFloat = 1.0
    clean_seconds: PositiveFloat = 300.0
    forget_after_days: PositiveFloat = 30.0
    """Night time."""
    events_kept_seconds: PositiveFloat = 600.0
    """How long a watcher may be away and still resume (wall); within a bounded number of events."""

    @property
    def rules(self) -> Rules:
        return Rules(
            idle=self.idle_thresholds,
            session_end=self.session_end_seconds,
            forget_after=self.forget_after_days * 86400.0,
        )

    @model_validator(mode="after")
    def _spans(self) -> Self:
        try:
            _ = self.rules
        except ValueError as error:
            raise ValueError(
                "EROS_FORGET_AFTER_DAYS, EROS_SESSION_END_SECONDS and EROS_IDLE_PHASE3_SECONDS: "
                f"{error}"
            ) from None
        return self
