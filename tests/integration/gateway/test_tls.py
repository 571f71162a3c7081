"""TLS by configuration, and a certificate that is renewed while people are connected."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.gateway.edge import API, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROFILE = f"{API}/users/profile"


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


async def _answers(client: httpx.AsyncClient, edge: Edge) -> int:
    url = f"https://localhost:{edge.port}{PROFILE}"
    async with asyncio.timeout(10):
        while True:
            try:
                status = (await client.get(url, headers=edge.bearer())).status_code
            except httpx.ConnectError:
                status = 0
            if status not in (0, 503):
                return status
            await asyncio.sleep(0.02)


async def test_tls_by_configuration_and_its_renewal(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    first, second = Pair.fresh(), Pair.fresh()
    certificate, key = first.put(folder)
    async with (
        open_edge(
            tmp_path,
            scheme="https",
            gateway_tls_certificate_file=certificate,
            gateway_tls_key_file=key,
        ) as edge,
        httpx.AsyncClient(verify=first.trusted(), trust_env=False) as before,
        httpx.AsyncClient(verify=second.trusted(), trust_env=False) as after,
    ):
        assert await _answers(before, edge) == 200
        trusted = first.trusted()
        trusted.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("localhost", edge.port, ssl=trusted)
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        writer.close()
        # What is said in plain text is not understood.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await edge.raw(f"GET {PROFILE} HTTP/1.1\r\nhost: x\r\n\r\n".encode())

        second.put(folder)
        assert await _answers(after, edge) == 200
        # Who was connected stays so; who comes now and trusts only the old one does not.
        assert await _answers(before, edge) == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("localhost", edge.port, ssl=first.trusted())
