from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.types import Options

from eros_accounts.domain.sessions import Holder, Lifetimes
from eros_accounts.keyring import LOOK_SECONDS, KeyRing
from eros_common.auth import ADMIN, UserIdentity, UserTokens
from eros_common.auth.keyfiles import parse_jwks, private_pem
from eros_common.errors import Unauthenticated
from eros_common.ids import new_session_id, new_user_id
from eros_common.testing import FakeClock

LIFETIMES = Lifetimes(
    access=timedelta(minutes=15), refresh=timedelta(days=30), console=timedelta(hours=8)
)
HOLDER = Holder(new_user_id(), new_session_id(), (ADMIN,))


def put_key(folder: Path, kid: str, *, seconds: int) -> None:
    """A new key file, written so many seconds after the first."""
    file = folder / f"{kid}.pem"
    file.write_bytes(private_pem(Ed25519PrivateKey.generate()))
    os.utime(file, (1_700_000_000 + seconds,) * 2)


@asynccontextmanager
async def watched(keys: KeyRing) -> AsyncIterator[None]:
    task = asyncio.create_task(keys.watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def looked(clock: FakeClock) -> None:
    """One look of the watch, done."""
    await clock.slept()
    clock.advance(LOOK_SECONDS)
    await clock.slept()


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def signs(keys: KeyRing, clock: FakeClock) -> str:
    """The kid that signs now."""
    return kid_of(keys.access_token(HOLDER, clock.wall(), LIFETIMES))


async def test_tokens_say_who_and_are_believed(tmp_path: Path) -> None:
    clock = FakeClock()
    put_key(tmp_path, "2026-a", seconds=0)
    keys = KeyRing(tmp_path, clock)
    token = keys.access_token(HOLDER, clock.wall(), LIFETIMES)
    tokens = UserTokens(keys.verifying, clock=clock)
    assert await tokens.verify(token) == UserIdentity(
        HOLDER.user_id, HOLDER.session_id, frozenset({ADMIN})
    )
    clock.advance(15 * 60)
    with pytest.raises(Unauthenticated):
        await tokens.verify(token)


def test_the_document_has_every_key(tmp_path: Path) -> None:
    put_key(tmp_path, "2026-02-01", seconds=0)
    put_key(tmp_path, "2026-01-01", seconds=1)
    (tmp_path / "README").write_text("no key")
    keys = KeyRing(tmp_path, FakeClock())
    entries = {entry["kid"]: entry for entry in json.loads(keys.document)["keys"]}
    assert set(entries) == {"2026-01-01", "2026-02-01"}
    for entry in entries.values():
        assert entry.keys() == {"kty", "crv", "alg", "use", "kid", "x"}
        assert (entry["kty"], entry["crv"]) == ("OKP", "Ed25519")
        assert (entry["alg"], entry["use"]) == ("EdDSA", "sig")
    token = keys.access_token(HOLDER, FakeClock().wall(), LIFETIMES)
    assert kid_of(token) == "2026-02-01", "the last by name signs, whenever it was written"
    public = parse_jwks(keys.document)["2026-02-01"]
    unchecked: Options = {"verify_exp": False, "verify_iat": False}
    jwt.decode(token, public, algorithms=["EdDSA"], audience="eros", options=unchecked)


async def test_rotation_without_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    put_key(tmp_path, "a", seconds=0)
    keys = KeyRing(tmp_path, clock)
    tokens = UserTokens(keys.verifying, clock=clock)
    by_a = keys.access_token(HOLDER, clock.wall(), LIFETIMES)
    async with watched(keys):
        put_key(tmp_path, "b", seconds=1)
        await looked(clock)
        by_b = keys.access_token(HOLDER, clock.wall(), LIFETIMES)
        assert kid_of(by_b) == "b"
        await tokens.verify(by_a)
        await tokens.verify(by_b)
        (tmp_path / "a.pem").unlink()
        await looked(clock)
        await tokens.verify(by_b)
        with pytest.raises(Unauthenticated):
            await tokens.verify(by_a)
        assert b'"a"' not in keys.document


@pytest.mark.parametrize("content", [b"", b"no key at all"])
async def test_a_broken_change_leaves_the_keys_as_they_are(tmp_path: Path, content: bytes) -> None:
    clock = FakeClock()
    put_key(tmp_path, "a", seconds=0)
    keys = KeyRing(tmp_path, clock)
    async with watched(keys):
        (tmp_path / "b.pem").write_bytes(content)
        await looked(clock)
        assert kid_of(keys.access_token(HOLDER, clock.wall(), LIFETIMES)) == "a"
        put_key(tmp_path, "b", seconds=1)
        await looked(clock)
        assert kid_of(keys.access_token(HOLDER, clock.wall(), LIFETIMES)) == "b"


async def test_the_last_key_is_not_given_up(tmp_path: Path) -> None:
    clock = FakeClock()
    put_key(tmp_path, "a", seconds=0)
    keys = KeyRing(tmp_path, clock)
    async with watched(keys):
        (tmp_path / "a.pem").unlink()
        await looked(clock)
        assert kid_of(keys.access_token(HOLDER, clock.wall(), LIFETIMES)) == "a"


def test_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \*\.pem file"):
        KeyRing(tmp_path, FakeClock())
    (tmp_path / "a.pem").write_text("no key")
    with pytest.raises(ValueError, match="no unencrypted PEM private key"):
        KeyRing(tmp_path, FakeClock())


async def test_a_new_key_verifies_at_once_and_signs_when_every_gateway_has_it(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    put_key(tmp_path, "2026-01-01", seconds=0)
    keys = KeyRing(tmp_path, clock, settle_seconds=120.0)
    async with watched(keys):
        clock.advance(3600)
        await looked(clock)
        # A volume of Kubernetes: all files are written anew, and in any order.
        put_key(tmp_path, "2026-02-01", seconds=3600)
        os.utime(tmp_path / "2026-01-01.pem", (1_700_003_601,) * 2)
        await looked(clock)
        assert set(parse_jwks(keys.document)) == {"2026-01-01", "2026-02-01"}
        assert signs(keys, clock) == "2026-01-01"
        clock.advance(118)
        await looked(clock)
        assert signs(keys, clock) == "2026-01-01"
        await looked(clock)
        assert signs(keys, clock) == "2026-02-01"
        token = keys.access_token(HOLDER, clock.wall(), LIFETIMES)
        assert (await UserTokens(keys.verifying, clock=clock).verify(token)).is_admin
        # Written anew once more, by a change of something else.
        os.utime(tmp_path / "2026-01-01.pem", (1_700_007_200,) * 2)
        await looked(clock)
        assert signs(keys, clock) == "2026-02-01"


async def test_after_a_start_the_older_key_signs_until_the_newer_must_be_known(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    put_key(tmp_path, "2026-01-01", seconds=1)
    put_key(tmp_path, "2026-02-01", seconds=0)
    keys = KeyRing(tmp_path, clock, settle_seconds=120.0)
    async with watched(keys):
        assert signs(keys, clock) == "2026-01-01"
        # Another one that nobody knows yet is not the oldest because of its name.
        put_key(tmp_path, "2025-12-01", seconds=2)
        await looked(clock)
        assert signs(keys, clock) == "2026-01-01"
        clock.advance(120)
        await looked(clock)
        assert signs(keys, clock) == "2026-02-01"


async def test_another_key_by_the_same_name_is_a_new_one(tmp_path: Path) -> None:
    clock = FakeClock()
    put_key(tmp_path, "2026-01-01", seconds=0)
    put_key(tmp_path, "2026-02-01", seconds=0)
    keys = KeyRing(tmp_path, clock, settle_seconds=120.0)
    async with watched(keys):
        clock.advance(120)
        await looked(clock)
        assert signs(keys, clock) == "2026-02-01"
        put_key(tmp_path, "2026-02-01", seconds=1)
        await looked(clock)
        assert signs(keys, clock) == "2026-01-01"


def test_a_lone_new_key_signs(tmp_path: Path) -> None:
    put_key(tmp_path, "only", seconds=0)
    clock = FakeClock()
    assert signs(KeyRing(tmp_path, clock, settle_seconds=120.0), clock) == "only"
