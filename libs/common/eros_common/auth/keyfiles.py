"""Ed25519 keys in files: PEM (PKCS #8) for private ones, JWKS (RFC 7517, RFC 8037) for public."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The PEM to keep; write it with mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file; ``ValueError`` names the file, never its content."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ValueError(f"cannot read the key file {path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ValueError(f"{path} is no unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} holds no Ed25519 key")  # noqa: TRY004 - the content is wrong
    return key


def service_kid(name: str, key: Ed25519PublicKey) -> str:
    """What a key of a service is called: the service and a fingerprint, so that a service may have
    two while one takes the other's place."""
    return f"{name}.{hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]}"


def service_of(kid: str) -> str:
    """Whose key it is."""
    return kid.partition(".")[0]


def jwks(keys: Mapping[str, Ed25519PublicKey]) -> str:
    """A JWKS document of public keys by kid."""
    return json.dumps({"keys": [_jwk(kid, key) for kid, key in keys.items()]})


def _jwk(kid: str, key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes_raw()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": kid,
        "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    }


def parse_jwks(document: str | bytes) -> dict[str, Ed25519PublicKey]:
    """The Ed25519 keys of a JWKS by kid; others are left out. ``ValueError`` if it is none."""
    try:
        entries = json.loads(document)["keys"]
        return {entry["kid"]: _public_key(entry) for entry in entries if _is_ours(entry)}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ValueError(f"no JWKS: {type(error).__name__}") from None


def _is_ours(entry: dict[str, Any]) -> bool:
    return entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519" and "kid" in entry


def _public_key(entry: dict[str, Any]) -> Ed25519PublicKey:
    text: str = entry["x"]
    return Ed25519PublicKey.from_public_bytes(
        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    )
