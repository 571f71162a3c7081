"""ETags, limits, overload, TLS: what the gateway adds to an answer, or answers itself."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros.activity.v1 import activity_pb2
from eros_common.errors import RateLimited, Unavailable
from eros_common.ids import new_user_id
from tests.integration.gateway.edge import API, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROFILE = f"{API}/users/profile"


def _profile(name: str) -> accounts_pb2.GetProfileResponse:
    return accounts_pb2.GetProfileResponse(success=True, profile=profile_pb2.Profile(name=name))


async def test_an_unchanged_read_is_not_sent_again(edge: Edge) -> None:
    edge.backends.answers["GetProfile"] = _profile("Ana")
    first = await edge.call("GET", PROFILE)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        answer = await edge.call("GET", PROFILE, headers={"if-none-match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in answer.headers
    edge.backends.answers["GetProfile"] = _profile("Bea")
    answer = await edge.call("GET", PROFILE, headers={"if-none-match": tag})
    assert answer.status == 200
    assert b"Bea" in answer.body
    assert answer.headers["etag"] != tag


async def test_no_header_cuts_the_access_log_stream(edge: Edge) -> None:
    names = ("if-none-match", "user-agent", "referer", "traceparent", "x-request-id")
    somebody = replace(edge, user=new_user_id())
    for name in names:
        answer = await somebody.call("GET", PROFILE, headers={name: '"\xff"'})
        assert answer.status == 200
    entries = edge.logs.entries
    while [entry.eros["user"] for entry in entries].count(str(somebody.user)) < len(names):
        entries = await edge.logs.have(len(entries) + 1)


async def test_only_reads_that_last_have_a_tag(edge: Edge) -> None:
    for method, path in (("GET", f"{API}/activity/status"), ("POST", f"{API}/heartbeat")):
        answer = await edge.call(method, path, "{}" if method == "POST" else None)
        assert answer.status == 200
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    edge.backends.answers["GetProfile"] = Unavailable("away")
    assert "etag" not in (await edge.call("GET", PROFILE)).headers


async def test_a_services_own_limit_says_when_to_come_back(edge: Edge) -> None:
    edge.backends.answers["Login"] = RateLimited("too often", retry_after=29.2)
    login = {"email": "a@b.example", "password": "long enough"}
    answer = await edge.call("POST", f"{API}/auth/login", login, signed_in=False)
    assert (answer.status, answer.error["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"] == "30"
    edge.backends.answers["GetProfile"] = Unavailable("away")
    assert (await edge.call("GET", PROFILE)).headers["retry-after"] == "1"


async def test_an_address_has_a_limit_and_is_told_of_it(tmp_path: Path) -> None:
    async with open_edge(tmp_path, rate_per_second=1, rate_sign_in_per_minute=2) as edge:
        login = {"email": "a@b.example", "password": "long enough"}
        answers = [
            await edge.call("POST", f"{API}/auth/login", login, signed_in=False) for _ in range(3)
        ]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[0].headers["x-ratelimit-limit"].startswith("2")
        assert answers[0].headers["x-ratelimit-remaining"] == "1"
        assert answers[2].error["code"] == "RATE_LIMITED"
        assert int(answers[2].headers["retry-after"]) == 30
        statuses = [(await edge.call("GET", PROFILE)).status for _ in range(6)]
        assert 429 in statuses


async def test_under_overload_reads_are_shed_and_heartbeats_are_not(tmp_path: Path) -> None:
    async with open_edge(tmp_path, gateway_max_reads=3) as edge:
        release, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def slow(_: Any) -> accounts_pb2.GetProfileResponse:
            waiting.release()
            await release.wait()
            return _profile("Ana")

        edge.backends.answers["GetProfile"] = slow
        edge.backends.answers["UpdateProfile"] = accounts_pb2.UpdateProfileResponse(success=True)
        edge.backends.answers["GetStatus"] = activity_pb2.GetStatusResponse()
        inside = [asyncio.create_task(edge.call("GET", PROFILE)) for _ in range(3)]
        for _ in inside:
            await waiting.acquire()
        shed = await edge.call("GET", PROFILE)
        assert (shed.status, shed.error["code"]) == (503, "UNAVAILABLE")
        assert shed.headers["retry-after"] == "1"
        assert (await edge.call("PUT", PROFILE, {"bio": "x"})).status == 200
        assert (await edge.call("POST", f"{API}/heartbeat", {})).status == 200
        release.set()
        assert {(await task).status for task in inside} == {200}
        assert (await edge.call("GET", PROFILE)).status == 200


async def test_tls_by_configuration(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    async with open_edge(
        tmp_path,
        scheme="https",
        gateway_tls_certificate_file=certificate,
        gateway_tls_key_file=key,
    ) as edge:
        trusted = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
            url = f"https://localhost:{edge.port}{PROFILE}"
            async with asyncio.timeout(10):
                while (await client.get(url, headers=edge.bearer())).status_code == 503:
                    await asyncio.sleep(0.02)
            assert (await client.get(url, headers=edge.bearer())).status_code == 200
        trusted.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("localhost", edge.port, ssl=trusted)
        spoken: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert (spoken.version(), spoken.selected_alpn_protocol()) == ("TLSv1.3", "h2")
        writer.close()
        # What is said in plain text is not understood.
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await edge.raw(f"GET {PROFILE} HTTP/1.1\r\nhost: x\r\n\r\n".encode())


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one for localhost."""
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
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
