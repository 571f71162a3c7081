"""What the environment says about a mesh: workers, directory, stores."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eros_cli.mesh.addresses import choose_addresses
from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.options import MeshOptions, NightClock
from eros_cli.mesh.services import inherited
from eros_cli.mesh.stores import Stores, choose_stores
from eros_common.config import NightSettings, read


def stores(data: Path, **environment: str) -> Stores:
    options = MeshOptions(environment=environment, workers=1)
    return choose_stores(options, DataDir(data), choose_addresses(options))


def test_workers_are_one_a_core_unless_said() -> None:
    cores = len(os.sched_getaffinity(0))
    assert MeshOptions(environment={}).worker_count() == cores
    assert MeshOptions(environment={"EROS_WORKERS": "7"}).worker_count() == 7
    assert MeshOptions(environment={"EROS_WORKERS": "7"}, workers=1).worker_count() == 1


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "257"])
def test_a_faulty_worker_count_is_refused_by_name(text: str) -> None:
    with pytest.raises(MeshError, match="EROS_WORKERS is "):
        MeshOptions(environment={"EROS_WORKERS": text}).worker_count()


def test_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert DataDir.default({"EROS_DATA_DIR": str(tmp_path)}).root == tmp_path
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert DataDir.default({}).root == Path("/var/lib/eros")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root = DataDir.default({"XDG_DATA_HOME": str(tmp_path)}).root
    assert root.parent == tmp_path / "eros"
    # One a checkout, always the same one.
    assert DataDir.default({"XDG_DATA_HOME": str(tmp_path)}).root == root


def test_private_parts_are_private(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    data.create()
    modes = {path.name: path.stat().st_mode & 0o777 for path in data.root.iterdir()}
    assert modes["keys"] == modes["logs"] == 0o700
    # Others may pass through, not look.
    assert data.root.stat().st_mode & 0o777 == 0o711


def test_a_directory_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(MeshError, match="EROS_DATA_DIR"):
        DataDir(in_the_way / "data").create()


def test_a_socket_path_always_fits(tmp_path: Path) -> None:
    assert DataDir(tmp_path / "short").socket("x").parent == tmp_path / "short" / "run"
    long = DataDir(tmp_path / ("long" * 40))
    other = DataDir(tmp_path / ("longer" * 40))
    assert len(os.fsencode(long.socket("x"))) <= 107
    assert long.socket("x") != other.socket("x")


def test_without_urls_both_servers_are_embedded(tmp_path: Path) -> None:
    assert len(stores(tmp_path).servers()) == 2


def test_urls_replace_the_embedded_servers(tmp_path: Path) -> None:
    chosen = stores(tmp_path, DATABASE_URL="postgresql://db/eros", REDIS_URL="redis://r")
    assert chosen.servers() == []
    assert chosen.environment() == {
        "DATABASE_URL": "postgresql://db/eros",
        "REDIS_URL": "redis://r",
        "ACTIVITY_REDIS_URL": "redis://r",
        "CACHE_REDIS_URL": "redis://r",
    }


def test_two_redis_roles_need_no_third(tmp_path: Path) -> None:
    chosen = stores(tmp_path, ACTIVITY_REDIS_URL="redis://a", CACHE_REDIS_URL="redis://c")
    assert chosen.valkey is None
    assert chosen.postgres is not None


def test_one_redis_role_leaves_the_other_embedded(tmp_path: Path) -> None:
    chosen = stores(tmp_path, CACHE_REDIS_URL="redis://c")
    assert chosen.valkey is not None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "postgres-password").write_text("p")
    (tmp_path / "keys" / "valkey-password").write_text("v")
    environment = chosen.environment()
    assert environment["CACHE_REDIS_URL"] == "redis://c"
    assert environment["ACTIVITY_REDIS_URL"] == environment["REDIS_URL"] == chosen.valkey.url


def test_a_proxy_is_not_asked_for_this_machine() -> None:
    environment = inherited({"no_proxy": "example.org", "https_proxy": "http://proxy"})
    assert environment["no_grpc_proxy"] == "example.org,127.0.0.1,localhost"


def test_the_night_clock_is_what_the_services_read(monkeypatch: pytest.MonkeyPatch) -> None:
    night = NightClock(
        epoch=datetime(2026, 6, 1, 22, tzinfo=UTC), t0=datetime(2026, 11, 24, tzinfo=UTC), rate=240
    )
    for name, value in night.environment().items():
        monkeypatch.setenv(name, value)
    settings = read(NightSettings)
    assert (settings.night_epoch, settings.night_t0) == (night.epoch, night.t0)
    assert settings.night_rate == night.rate
