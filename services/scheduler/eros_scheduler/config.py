"""Settings of the scheduler."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat

from eros_common.config import (
    Address,
    DatabaseSettings,
    NightSettings,
    PhaseSettings,
    ServiceSettings,
    WindowSettings,
)
from eros_scheduler.core.model import RULES, CoreSettings, JobKind, KindRule, Zone


class SchedulerSettings(
    ServiceSettings, DatabaseSettings, NightSettings, PhaseSettings, WindowSettings
):
    """``EROS_*``; seconds are wall seconds."""

    listen: Address = "127.0.0.1:50053"
    lease_seconds: PositiveFloat = 30.0
    tick_seconds: PositiveFloat = 5.0
    stream_silence_seconds: PositiveFloat = 2.0
    """Nothing heard of activity for so long: everything is halted."""
    heartbeat_interval_seconds: PositiveFloat = 60.0
    ageing_seconds: PositiveFloat = 60.0
    stint_seconds: NonNegativeFloat = 5.0
    """A kind of job that was not tried for so long is tried before deeper ones."""
    audit_days: int = Field(30, ge=1, le=3660)
    """Whole days after which what happened is forgotten."""
    alive_seconds: PositiveFloat = 0.9
    """A worker hears something at least this often."""

    batch_analyze: int = Field(20, ge=1, le=1000)
    batch_score: int = Field(100, ge=1, le=1000)
    batch_match: int = Field(250, ge=1, le=1000)
    batch_prepare: int = Field(250, ge=1, le=1000)
    learn_turn_seconds: PositiveFloat = 60.0
    """How long learning has a worker until it makes room."""
    learn_turn_share: float = Field(0.25, gt=0, le=1)
    """Of one worker's time, while people's work waits."""
    learn_asleep_share: float = Field(0.2, ge=0, le=1)
    """Learning starts while so many of the people sleep, and stops when half as many do."""
    cpu_cap_phase1: float = Field(0.05, gt=0, le=1)
    cpu_cap_phase2: float = Field(0.15, gt=0, le=1)
    cpu_cap_phase3: float = Field(0.95, gt=0, le=1)

    def core(self, scheduler_id: str) -> CoreSettings:
        batches = (
            (JobKind.ANALYZE, self.batch_analyze),
            (JobKind.SCORE, self.batch_score),
            (JobKind.MATCH, self.batch_match),
            (JobKind.PREPARE, self.batch_prepare),
        )
        caps = (self.cpu_cap_phase1, self.cpu_cap_phase2, self.cpu_cap_phase3)
        return CoreSettings(
            scheduler_id=scheduler_id,
            window=self.window,
            default_zone=Zone(self.default_time_zone),
            rules={
                kind: KindRule(RULES[kind].phase, batch, caps[RULES[kind].phase - 1])
                for kind, batch in batches
            }
            | {
                JobKind.LEARN: KindRule(
                    RULES[JobKind.LEARN].phase,
                    batch=1,
                    cpu_cap=self.cpu_cap_phase3,
                    asleep_share=self.learn_asleep_share,
                    turn_seconds=self.learn_turn_seconds,
                    turn_share=self.learn_turn_share,
                )
            },
            night_rate=self.night_rate,
            heartbeat_seconds=self.heartbeat_interval_seconds,
            ageing_seconds=self.ageing_seconds,
            stint_seconds=self.stint_seconds,
        )
