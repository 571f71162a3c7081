"""The environment of a mesh that is nobody's: of a soak, of a bench, of a test."""

from __future__ import annotations

import os
from typing import Final

_OURS: Final = (
    *("EROS_", "DATABASE_URL", "REDIS_URL", "ACTIVITY_REDIS_URL", "CACHE_REDIS_URL", "OTEL_"),
)


def clean_environment() -> dict[str, str]:
    """The caller's variables without any that EROS reads: nobody's servers are touched."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
