"""A program of the mesh as a caller sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Service:
    """A snapshot: `pid` is None while it does not run, `address` is `host:port`."""

    name: str
    pid: int | None
    address: str
    log: Path
