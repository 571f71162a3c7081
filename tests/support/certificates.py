"""Certificates of tests' own."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """A self-signed certificate for localhost and its key, as PEM."""

    certificate: bytes
    key: bytes

    @classmethod
    def fresh(cls) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def put(self, folder: Path) -> tuple[Path, Path]:
        """Moves both files there, in place of those that are."""
        files = folder / "certificate.pem", folder / "key.pem"
        for file, data in zip(files, (self.certificate, self.key), strict=True):
            draft = file.with_suffix(".new")
            draft.write_bytes(data)
            draft.replace(file)
        return files

    def trusted(self) -> ssl.SSLContext:
        """Of a client that trusts this certificate only."""
        return ssl.create_default_context(cadata=self.certificate.decode())
