"""Settings of the accounts service."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat

from eros_accounts.domain.sessions import Lifetimes, Throttling
from eros_accounts.passwords import HashCost
from eros_common.auth import CONSOLE_SECONDS
from eros_common.config import Address, DatabaseSettings, NightSettings, ServiceSettings


class AccountsSettings(ServiceSettings, DatabaseSettings, NightSettings):
    """A field ``x`` is read from ``EROS_X``."""

    listen: Address | None = "127.0.0.1:50051"
    reads_listen: Address = "127.0.0.1:50061"
    """Where gateways ask for cached profiles."""
    signing_keys_dir: Path
    """Ed25519 keys in PEM files; the last by name signs."""
    access_token_seconds: int = Field(900, ge=1)
    refresh_token_seconds: int = Field(30 * 24 * 3600, ge=60)
    signing_key_settle_seconds: NonNegativeFloat = 120.0
    """A new key verifies at once and signs only when accounts has seen it for this long: longer
    than EROS_JWKS_REFRESH_SECONDS, so that every gateway knows it by then."""
    login_failures: int = Field(10, ge=1)
    """Failed logins to one e-mail, before attempts are spaced."""
    login_window_seconds: int = Field(900, ge=1)
    login_pause_seconds: int = Field(30, ge=1)
    """Between attempts from then on."""
    hash_passes: int = Field(2, ge=1)
    hash_memory_kib: int = Field(19456, ge=8)
    hash_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=1)
    """How many passwords are hashed at once; by default on half of the machine's cores."""
    hash_queue: int = Field(32, ge=0)
    """How many passwords may wait for a thread."""
    cache_timeout_seconds: PositiveFloat = 0.1
    """A cache that is slower than this is not waited for."""
    cache_drop_seconds: PositiveFloat = 5.0
    """How often (wall) drops that a dead cache did not hear of are tried again."""

    @property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(
            access=timedelta(seconds=self.access_token_seconds),
            refresh=timedelta(seconds=self.refresh_token_seconds),
            console=timedelta(seconds=CONSOLE_SECONDS),
        )

    @property
    def throttling(self) -> Throttling:
        return Throttling(self.login_failures, self.login_window_seconds, self.login_pause_seconds)

    @property
    def hash_cost(self) -> HashCost:
        return HashCost(passes=self.hash_passes, memory_kib=self.hash_memory_kib)
