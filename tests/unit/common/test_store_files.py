"""Files that a store's URL names are looked for at start, by the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_common import config
from eros_common.config import DatabaseSettings, RedisSettings


class Stores(DatabaseSettings, RedisSettings):
    """Both."""


def test_all_that_cannot_be_read_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tls = "sslmode=verify-full&sslrootcert=/nowhere/ca.crt"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://eros:secret@db/eros?{tls}")
    monkeypatch.setenv("CACHE_REDIS_URL", "rediss://:secret@cache:6379/0?ssl_ca_certs=/nowhere/c")
    monkeypatch.setenv("ACTIVITY_REDIS_URL", "rediss+cluster://:secret@a:1?ssl_ca_certs=/nowhere/a")
    with pytest.raises(config.SettingsFault) as refused:
        config.read(Stores)
    why = "cannot be read: No such file or directory"
    assert refused.value.faults == [
        f"ACTIVITY_REDIS_URL: ssl_ca_certs {why} (/nowhere/a)",
        f"CACHE_REDIS_URL: ssl_ca_certs {why} (/nowhere/c)",
        f"DATABASE_URL: sslrootcert {why} (/nowhere/ca.crt)",
    ]


def test_those_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("-----BEGIN CERTIFICATE-----")
    for where in (authority, "system"):
        url = f"postgresql://db/eros?sslmode=verify-full&sslrootcert={where}"
        monkeypatch.setenv("DATABASE_URL", url)
        assert config.read(Stores).database_url.get_secret_value() == url
