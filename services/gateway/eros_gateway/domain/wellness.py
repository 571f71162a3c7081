"""Whether the whole is well, from how its parts are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """As said in REST."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


ESSENTIAL: Final = frozenset({"accounts", "postgres"})
"""Without one of these nobody can sign in and nothing can be saved: the whole is down. Without any
other part the rest serves on."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part; ``message`` says why it is not ok."""

    status: Status
    latency_ms: float = 0.0
    message: str = ""


def overall(components: Mapping[str, Component]) -> Status:
    """The state of the whole."""
    ill = {name: part for name, part in components.items() if part.status is not Status.OK}
    if any(part.status is Status.DOWN and name in ESSENTIAL for name, part in ill.items()):
        return Status.DOWN
    return Status.DEGRADED if ill else Status.OK
