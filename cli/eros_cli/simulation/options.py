"""What is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from eros_common.phases import IdleThresholds, Window
from eros_scheduler.core.model import PERSONAL, RULES, CoreSettings, JobKind, Zone

PEOPLE_A_WORKER: Final = 25_000

DEFAULT_START: Final = datetime(2026, 10, 24, 18, tzinfo=UTC)
"""An evening in Europe before the clocks go back; America is at work, Asia asleep."""

DEFAULT_ZONE: Final = Zone("Europe/Lisbon")

HALT_SECONDS: Final = 0.5
"""How long work may go on after a touch."""
CUT_SECONDS: Final = 2.0
"""So much longer for each leg between the touch and the worker that is cut."""
SKEW_SECONDS: Final = 1.0
"""No clock is off by more."""


@dataclass(frozen=True, slots=True)
class Options:
    """`faults` scales how often things break, 0 for never."""

    users: int = 100_000
    hours: float = 12.0
    seed: int = 1
    start: datetime = DEFAULT_START
    faults: float = 1.0
    workers: int = 0
    """0: as many as the people need."""
    schedulers: int = 2
    work: float = 1.0
    """Scales the CPU time of every job."""
    aim_seconds: float = 60.0
    """So often somebody whom a worker has in hand touches the phone; on average, at random."""
    follow: int | None = None
    """One person, all of whose events are kept."""
    window: Window = field(default_factory=Window)
    idle: IdleThresholds = field(default_factory=IdleThresholds)
    default_zone: Zone = DEFAULT_ZONE
    lease_seconds: float = 30.0
    tick_seconds: float = 5.0
    silence_seconds: float = 2.0
    heartbeat_seconds: float = 60.0
    ageing_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.users < 1 or self.hours <= 0 or self.schedulers < 1 or self.workers < 0:
            raise ValueError("a simulation needs people, time and schedulers")
        if self.start.tzinfo is None:
            raise ValueError("the start needs a time zone")

    @property
    def seconds(self) -> float:
        return self.hours * 3600

    @property
    def worker_count(self) -> int:
        return self.workers or max(2, -(-self.users // PEOPLE_A_WORKER))

    @property
    def kinds(self) -> tuple[JobKind, ...]:
        """Those that every person has a job of, in the order in which they are done."""
        return PERSONAL

    @property
    def idle_seconds(self) -> Mapping[JobKind, float]:
        """From how many idle seconds on each kind may run."""
        by_phase = (self.idle.phase1, self.idle.phase2, self.idle.phase3)
        return {kind: by_phase[RULES[kind].phase - 1] for kind in RULES}

    def core(self, scheduler_id: str) -> CoreSettings:
        return CoreSettings(
            scheduler_id=scheduler_id,
            window=self.window,
            default_zone=self.default_zone,
            heartbeat_seconds=self.heartbeat_seconds,
            ageing_seconds=self.ageing_seconds,
        )
