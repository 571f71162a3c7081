"""What a mesh tells whoever started it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum


class EventKind(Enum):
    STARTING = "starting"
    READY = "ready"
    ENDED = "ended"
    STOPPING = "stopping"
    STOPPED = "stopped"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class MeshEvent:
    """Something happened to the program `name` (empty: to the mesh); `message` says it in words."""

    kind: EventKind
    name: str
    message: str


Reporter = Callable[[MeshEvent], None]


def silent(event: MeshEvent) -> None:
    """Tells nobody."""
