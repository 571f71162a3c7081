"""Settings of a worker; every fault is refused at start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat

from eros_common.config import DatabaseSettings, MatchesSettings, NightSettings, ServiceSettings


class WorkerSettings(ServiceSettings, DatabaseSettings, NightSettings, MatchesSettings):
    """Read from the environment; see libs/common for the common ones."""

    worker_data_dir: Path
    """This host's market files; shared by its workers."""
    stream_silence_seconds: PositiveFloat = 2.0
    """So long without a word from the scheduler, and the worker halts itself."""
    database_pool_size: int = Field(4, ge=2, le=200)
    """Of the batches; halts have one more of their own."""
    learn_every_nights: int = Field(1, ge=1, le=365)
    """A new model every so many nights. While one stays, in markets of 250,000 people and more only
    who changed is scored again."""
    congestion_strength: float = Field(1.0, ge=0, le=2)
    """How much of the balance's prices lists are ordered by; 0 shows everybody the same few."""
