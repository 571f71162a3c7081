"""What the gateway's own service asks of the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from eros.scheduler.v1 import scheduler_pb2
from eros_common.cache_reads import Reads


class PartDown(Exception):
    """A part does not answer, or says that it does not serve; the text says why."""


class Probe(Protocol):
    """Asks one part how it is."""

    async def __call__(self) -> None:
        """Returns if it is well; raises ``PartDown``."""
        ...


@dataclass(frozen=True, slots=True)
class CacheState:
    """What the cache says of itself."""

    used_bytes: int
    reads: dict[str, Reads]


class Night(Protocol):
    """The scheduler's overview."""

    async def overview(self) -> scheduler_pb2.GetOverviewResponse:
        """Raises ``PartDown``."""
        ...


class Cache(Protocol):
    """The cache's state."""

    async def state(self) -> CacheState:
        """Raises ``PartDown``."""
        ...
