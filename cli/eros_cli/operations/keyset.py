"""The keys of a deployment: one identity a service, all public ones in a JWKS, and what signs
people's tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_cli.embedded.secret import write_secret
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.keys import IDENTITIES
from eros_common.auth.keyfiles import (
    jwks,
    parse_jwks,
    private_pem,
    read_private_key,
    service_kid,
)


def make_keys(folder: Path) -> list[Path]:
    """Makes those that are missing; what is there stays. Returns what was written.

    `signing/DATE.pem`, `services/NAME.pem`, `services/jwks.json`. Raises MeshError.
    """
    signing, services = folder / "signing", folder / "services"
    for each in (folder, signing, services):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    if not any(signing.glob("*.pem")):
        written.append(add_signing_key(folder))
    for name in IDENTITIES:
        path = services / f"{name}.pem"
        if not path.exists():
            write_secret(path, private_pem(Ed25519PrivateKey.generate()).decode())
            written.append(path)
    return written + _publish(services)


def renew_service_key(folder: Path, name: str) -> list[Path]:
    """The next step of giving a service another key while all goes on. First one is made and
    published beside the old one; then, called again, it takes the old one's place, which stays
    published as `services/NAME.old.pem` until that file is taken away.

    Returns what was written. Raises MeshError.
    """
    services = folder / "services"
    own, coming, old = (services / f"{name}{which}.pem" for which in ("", ".next", ".old"))
    if name not in IDENTITIES or not own.exists():
        raise MeshError(f"{own} is not there: one of {', '.join(IDENTITIES)} is meant")
    if old.exists():
        raise MeshError(f"{old} is still there: take it away once every {name} has the new key")
    if not coming.exists():
        write_secret(coming, private_pem(Ed25519PrivateKey.generate()).decode())
        return [coming, *_publish(services)]
    own.rename(old)
    coming.rename(own)
    return [own, old, *_publish(services)]


def _publish(services: Path) -> list[Path]:
    """The public halves of all keys of all services, in `jwks.json`; that, if it changed."""
    public = {}
    for name in IDENTITIES:
        for which in ("", ".next", ".old"):
            path = services / f"{name}{which}.pem"
            if not path.exists():
                continue
            try:
                key = read_private_key(path).public_key()
            except ValueError as error:
                raise MeshError(str(error)) from None
            public[service_kid(name, key)] = key
    document = services / "jwks.json"
    text = jwks(public)
    if document.exists() and set(parse_jwks(document.read_text())) == public.keys():
        return []
    write_secret(document, text)
    return [document]


def add_signing_key(folder: Path) -> Path:
    """Another key for people's tokens, named so that it sorts last: it signs once accounts has
    published it for longer than the gateways' refresh. Raises MeshError if there is one of today.
    """
    path = folder / "signing" / f"{datetime.now(UTC):%Y-%m-%d}.pem"
    if path.exists():
        raise MeshError(f"{path} is there already: one signing key a day")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(path, private_pem(Ed25519PrivateKey.generate()).decode())
    return path
