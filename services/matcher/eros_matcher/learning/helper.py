"""How the helper processes of learning begin: ended with their parent, nice, settings read."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

from eros_common import config, logging
from eros_common.config import DatabaseSettings, TelemetrySettings

_PR_SET_PDEATHSIG: Final = 1


class HelperSettings(DatabaseSettings, TelemetrySettings):
    """What a helper process needs."""


def settings_of_helper(service: str, parent: int) -> str:
    """The database's URL; exits where the parent is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # The parent died before we asked to be told.
        sys.exit(1)
    settings = config.load(HelperSettings)
    logging.configure(fmt=settings.log_format, level=settings.log_level, service=service)
    os.nice(5)
    return settings.database_url.get_secret_value()
