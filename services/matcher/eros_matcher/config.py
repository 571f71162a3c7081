"""Settings of the matcher's API; every fault is refused at start."""

from __future__ import annotations

from pydantic import PositiveFloat

from eros_common.config import (
    Address,
    DatabaseSettings,
    MatchesSettings,
    NightSettings,
    ServiceSettings,
    WindowSettings,
)


class MatcherSettings(
    ServiceSettings, DatabaseSettings, NightSettings, WindowSettings, MatchesSettings
):
    """Read from the environment; see libs/common for the common ones."""

    listen: Address | None = "127.0.0.1:50054"
    reads_listen: Address = "127.0.0.1:50064"
    """Where gateways ask for cached lists."""
    preview_refresh_seconds: PositiveFloat = 60.0
    """How often (wall) the preview looks again who is active."""
    preview_renew_seconds: PositiveFloat = 5.0
    """Where a preview finds nobody, it looks at once if the last look is older (wall)."""
    cache_drop_seconds: PositiveFloat = 5.0
    """How often (wall) lists that a dead cache could not forget are tried again."""
