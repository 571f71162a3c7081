"""Two signing keys live: no restart, no failed request."""

from __future__ import annotations

import asyncio
import os
import time

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions, Part
from eros_common.auth.keyfiles import private_pem
from tests.support.people import PASSWORD, sign_up, succeeded

_PARTS = frozenset(set(Part) - {Part.WORKER})
# A service looks for unknown keys every 5 s at most.
_QUICK = {
    "EROS_JWKS_REFRESH_SECONDS": "1",
    "EROS_SIGNING_KEY_SETTLE_SECONDS": "6",
    "EROS_RATE_PER_SECOND": "0",
    "EROS_RATE_SIGN_IN_PER_MINUTE": "0",
}


async def test_a_key_is_rotated_under_load() -> None:
    options = MeshOptions(
        parts=_PARTS, environment=clean_environment(), settings=_QUICK, durable=False
    )
    async with (
        Mesh(options) as mesh,
        httpx.AsyncClient(base_url=f"{mesh.url}/api/v1", trust_env=False) as http,
    ):
        old = await sign_up(http, "Ana")
        folder = mesh.data.signing_keys
        draft = folder / ".next"
        draft.write_bytes(private_pem(Ed25519PrivateKey.generate()))
        os.chmod(draft, 0o600)
        draft.rename(folder / "next.pem")
        login = {"email": old.email, "password": PASSWORD}
        seen: set[str] = set()
        deadline = time.monotonic() + 30
        while "next" not in seen or len(seen) < 2:
            assert time.monotonic() < deadline, seen
            token = succeeded(await http.post("/auth/login", json=login))["token"]
            seen.add(jwt.get_unverified_header(token)["kid"])
            for bearer in (token, old.token):
                headers = {"authorization": f"Bearer {bearer}"}
                # Of one service that is not accounts, and of accounts itself.
                for path in ("/activity/status", "/users/profile"):
                    succeeded(await http.get(path, headers=headers))
            await asyncio.sleep(0.05)
