"""The environment of a mesh that brings its own stores."""

from __future__ import annotations

import os
from typing import Final

_SERVERS: Final = ("DATABASE_URL", "REDIS_URL", "ACTIVITY_REDIS_URL", "CACHE_REDIS_URL")


def without_servers() -> dict[str, str]:
    """This process's environment without anybody's servers: those are not to be loaded."""
    return {name: value for name, value in os.environ.items() if name not in _SERVERS}
