"""Keys of a deployment are made once, and signing keys are added."""

from __future__ import annotations

from pathlib import Path

import pytest

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.keys import IDENTITIES
from eros_cli.operations.keyset import add_signing_key, make_keys, renew_service_key
from eros_common.auth import ServiceIdentity, ServiceTokens
from eros_common.auth.keyfiles import parse_jwks, read_private_key, service_kid, service_of
from eros_common.auth.keys import FileKeys
from eros_common.errors import Unauthenticated


def test_made_once(tmp_path: Path) -> None:
    written = make_keys(tmp_path)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in written)
    public = parse_jwks((tmp_path / "services" / "jwks.json").read_text())
    assert {service_of(kid) for kid in public} == set(IDENTITIES)
    assert len(public) == len(IDENTITIES)
    for name in IDENTITIES:
        own = read_private_key(tmp_path / "services" / f"{name}.pem").public_key()
        assert own == public[service_kid(name, own)]
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


async def test_a_service_is_believed_all_the_while_its_key_is_renewed(tmp_path: Path) -> None:
    make_keys(tmp_path)
    services = tmp_path / "services"
    own, coming, old = (services / f"worker{which}.pem" for which in ("", ".next", ".old"))
    # A service that runs all the while, and a worker that has its key from its start.
    tokens = ServiceTokens(FileKeys(services / "jwks.json"), audience="scheduler")
    before = ServiceIdentity.from_file("worker", own)

    async def believed(identity: ServiceIdentity) -> bool:
        return await tokens.verify(identity.token("scheduler")) == "worker"

    assert await believed(before)
    assert renew_service_key(tmp_path, "worker") == [coming, services / "jwks.json"]
    assert await believed(ServiceIdentity.from_file("worker", own))
    # The published document is what it is; from here on files change places only.
    assert renew_service_key(tmp_path, "worker") == [own, old]
    after = ServiceIdentity.from_file("worker", own)
    assert await believed(after)
    assert await believed(ServiceIdentity.from_file("worker", old))
    with pytest.raises(MeshError, match="take it away once"):
        renew_service_key(tmp_path, "worker")
    old.unlink()
    assert make_keys(tmp_path) == [services / "jwks.json"]
    # Whoever reads it from now on believes the new key alone.
    tokens = ServiceTokens(FileKeys(services / "jwks.json"), audience="scheduler")
    assert await believed(after)
    with pytest.raises(Unauthenticated, match="unknown"):
        await believed(before)


async def test_a_service_speaks_for_no_other_by_either_key(tmp_path: Path) -> None:
    make_keys(tmp_path)
    services = tmp_path / "services"
    tokens = ServiceTokens(FileKeys(services / "jwks.json"), audience="scheduler")
    pretender = ServiceIdentity.from_file("gateway", services / "worker.pem")
    with pytest.raises(Unauthenticated, match="unknown"):
        await tokens.verify(pretender.token("scheduler"))
    # By a key that is published, under another's name.
    pretender = ServiceIdentity.from_file("gateway", services / "worker.pem")
    pretender._kid = service_kid("worker", pretender.key.public_key())
    with pytest.raises(Unauthenticated, match="not its issuer's"):
        await tokens.verify(pretender.token("scheduler"))


def test_only_a_service_has_its_key_renewed(tmp_path: Path) -> None:
    make_keys(tmp_path)
    for name in ("nobody", "../signing/x", ""):
        with pytest.raises(MeshError, match="is meant"):
            renew_service_key(tmp_path, name)
