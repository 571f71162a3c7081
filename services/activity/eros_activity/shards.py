"""How people are spread over shards, and where a shard's data is in Valkey."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from eros_activity.domain.people import Interaction, UserKey

PAUSES = "activity:{control}:pauses"
SOURCES = "activity:{control}:sources"


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``of`` shards. Its keys share a hash tag, so in a cluster they are on one node."""

    number: int
    of: int

    @property
    def layout(self) -> str:
        """What a shard's data must have been written as."""
        return f"{self.number}/{self.of}"

    @property
    def events(self) -> str:
        return self._key("events")

    @property
    def state(self) -> str:
        return self._key("state")

    @property
    def keys(self) -> tuple[str, str, str, str]:
        """In the order the functions take them."""
        return (self._key("people"), self._key("sessions"), self.events, self.state)

    def _key(self, name: str) -> str:
        return f"activity:{{{self.number}}}:{name}"


def shards(count: int) -> tuple[Shard, ...]:
    return tuple(Shard(number, count) for number in range(count))


def shard_number(user: UserKey, count: int) -> int:
    """Ids of every version spread evenly by this."""
    return zlib.crc32(user) % count


def by_shard(batch: Iterable[Interaction], count: int) -> dict[int, list[Interaction]]:
    split: dict[int, list[Interaction]] = {}
    for interaction in batch:
        split.setdefault(zlib.crc32(interaction.user) % count, []).append(interaction)
    return split
