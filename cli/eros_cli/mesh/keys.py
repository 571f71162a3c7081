"""The keys of a mesh: accounts' signing key, and one identity a service."""

from __future__ import annotations

import os
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_cli.embedded.secret import write_secret
from eros_cli.mesh.data_dir import DataDir
from eros_common.auth.keyfiles import jwks, private_pem, read_private_key, service_kid

#: Everyone who calls another service, the operator being whoever types the command.
IDENTITIES = (
    *("accounts", "activity", "scheduler", "matcher", "worker", "assistant"),
    *("gateway", "operator"),
)


def ensure_keys(data: DataDir) -> None:
    """Make the keys that are missing, each readable by its owner only."""
    data.signing_keys.mkdir(mode=0o700, exist_ok=True)
    data.service_keys.mkdir(mode=0o700, exist_ok=True)
    if not any(data.signing_keys.glob("*.pem")):
        name = time.strftime("%Y-%m-%d", time.gmtime())
        pem = private_pem(Ed25519PrivateKey.generate())
        write_secret(data.signing_keys / f"{name}.pem", pem.decode())
    public = {}
    for identity in IDENTITIES:
        path = data.service_keys / f"{identity}.pem"
        if not path.exists():
            write_secret(path, private_pem(Ed25519PrivateKey.generate()).decode())
        key = read_private_key(path).public_key()
        public[service_kid(identity, key)] = key
    document = jwks(public)
    if not data.service_jwks.exists() or data.service_jwks.read_text() != document:
        write_secret(data.service_jwks, document)


def key_environment(data: DataDir, identity: str) -> dict[str, str]:
    """The settings by which a service finds its own key and everybody's public ones."""
    return {
        "EROS_SERVICE_KEY_FILE": os.fspath(data.service_keys / f"{identity}.pem"),
        "EROS_SERVICE_JWKS_FILE": os.fspath(data.service_jwks),
    }
