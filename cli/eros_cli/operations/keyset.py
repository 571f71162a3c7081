"""The keys of a deployment: one identity a service, all public ones in a JWKS, and what signs
people's tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_cli.embedded.secret import write_secret
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.keys import IDENTITIES
from eros_common.auth.keyfiles import jwks, private_pem, read_private_key


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
    public = {}
    for name in IDENTITIES:
        path = services / f"{name}.pem"
        if not path.exists():
            write_secret(path, private_pem(Ed25519PrivateKey.generate()).decode())
            written.append(path)
        try:
            public[name] = read_private_key(path).public_key()
        except ValueError as error:
            raise MeshError(str(error)) from None
    document = services / "jwks.json"
    if not document.exists() or document.read_text() != jwks(public):
        write_secret(document, jwks(public))
        written.append(document)
    return written


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
