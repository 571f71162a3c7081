"""Keys of a deployment are made once, and signing keys are added."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.keys import IDENTITIES
from eros_cli.operations.keyset import add_signing_key, make_keys
from eros_common.auth.keyfiles import parse_jwks, read_private_key


def test_made_once(tmp_path: Path) -> None:
    written = make_keys(tmp_path)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in written)
    public = parse_jwks((tmp_path / "services" / "jwks.json").read_text())
    assert public.keys() == set(IDENTITIES)
    for name in IDENTITIES:
        own = read_private_key(tmp_path / "services" / f"{name}.pem").public_key()
        assert own == public[name]
    assert make_keys(tmp_path) == []


def test_a_lost_key_is_made_again_and_published(tmp_path: Path) -> None:
    make_keys(tmp_path)
    (tmp_path / "services" / "worker.pem").unlink()
    names = {path.name for path in make_keys(tmp_path)}
    assert names == {"worker.pem", "jwks.json"}


def test_one_signing_key_a_day(tmp_path: Path) -> None:
    make_keys(tmp_path)
    with pytest.raises(MeshError, match="one signing key a day"):
        add_signing_key(tmp_path)
    next((tmp_path / "signing").glob("*.pem")).rename(tmp_path / "signing" / "2000-01-01.pem")
    add_signing_key(tmp_path)
    assert len(list((tmp_path / "signing").glob("*.pem"))) == 2
