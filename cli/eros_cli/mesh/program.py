"""What is to be run: one server or service of the mesh."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a program is run as instead of root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Program:
    """A program and how it is watched.

    `ready` returns once the program serves; it is cancelled when the program ends first.
    `death_signal` is sent by the kernel should the supervisor die without stopping it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[None]]
    directory: Path
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    ready_seconds: float = 60.0
    account: Account | None = None
