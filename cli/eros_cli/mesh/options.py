"""What a mesh is made of and how it differs from the default one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from eros_cli.mesh.faults import MeshError

WORKERS_VARIABLE = "EROS_WORKERS"


class Part(StrEnum):
    """A kind of program in the mesh; there is one of each but workers."""

    POSTGRES = "postgres"
    VALKEY = "valkey"
    ACCOUNTS = "accounts"
    ACTIVITY = "activity"
    SCHEDULER = "scheduler"
    MATCHER = "matcher"
    ASSISTANT = "assistant"
    WORKER = "worker"
    GATEWAY = "gateway"


STORES = frozenset({Part.POSTGRES, Part.VALKEY})
EVERYTHING = frozenset(Part)


@dataclass(frozen=True, slots=True)
class NightClock:
    """night time = `epoch` + (wall time - `t0`) x `rate`; both instants with a time zone."""

    epoch: datetime
    t0: datetime
    rate: float = 1.0

    def environment(self) -> dict[str, str]:
        return {
            "EROS_NIGHT_EPOCH": self.epoch.isoformat(),
            "EROS_NIGHT_T0": self.t0.isoformat(),
            "EROS_NIGHT_RATE": repr(self.rate),
        }


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """Everything has a default: the whole mesh, on free ports, in a temporary directory."""

    parts: frozenset[Part] = EVERYTHING
    #: None: EROS_WORKERS, else one a core.
    workers: int | None = None
    #: None: a temporary one, removed at the end.
    data_dir: Path | None = None
    #: The caller's variables; the programs inherit them, DATABASE_URL and its like replace servers.
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    #: Settings of the services on top of those, such as EROS_TICK_SECONDS.
    settings: Mapping[str, str] = field(default_factory=dict)
    #: True: the ports of the settings or their defaults (gateway 3000). False: any free ones.
    fixed_ports: bool = False
    night: NightClock | None = None
    #: False: the stores may lose data when the machine dies. For tests.
    durable: bool = True
    #: Settings of the PostgreSQL that is started, in place of a developer's. For benches.
    postgres: Mapping[str, str] = field(default_factory=dict)
    #: False: a program that ends fails the mesh instead of being started again.
    restart: bool = True

    def worker_count(self) -> int:
        """How many workers; raises MeshError where the variable is no number."""
        if self.workers is not None:
            return self.workers
        text = self.environment.get(WORKERS_VARIABLE, "")
        if not text:
            return len(os.sched_getaffinity(0))
        if not text.isdigit() or not 1 <= int(text) <= 256:
            raise MeshError(f"{WORKERS_VARIABLE} is {text!r}; it must be a number from 1 to 256")
        return int(text)
