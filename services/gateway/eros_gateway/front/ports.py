"""What the gateway's own service asks of the outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class NightSeen:
    """What the schedulers that answered tell, as of one; ``silent`` says why any did not."""

    overview: scheduler_pb2.GetOverviewResponse
    silent: Mapping[str, str] = field(default_factory=dict)


class Night(Protocol):
    """The schedulers' overview."""

    async def overview(self) -> NightSeen:
        """Raises ``PartDown`` where none answers."""
        ...


class Cache(Protocol):
    """The cache's state."""

    async def state(self) -> CacheState:
        """Raises ``PartDown``."""
        ...
