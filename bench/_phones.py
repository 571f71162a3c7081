"""Tokens for anybody, signed with a mesh's own key."""

from __future__ import annotations

import time

import jwt

from eros_cli.mesh.mesh import Mesh
from eros_common.ids import UserId

_SECONDS = 900


class Tokens:
    """Access tokens as accounts makes them."""

    def __init__(self, mesh: Mesh) -> None:
        key = max(mesh.data.signing_keys.glob("*.pem"))
        self._key, self._kid = key.read_bytes(), key.stem

    def of(self, user: UserId, *roles: str, session: str = "") -> str:
        """One of a person; of the same session unless another is named."""
        now = int(time.time())
        claims = {"iss": "eros", "aud": "eros", "sub": str(user), "sid": session or user.hex}
        return jwt.encode(
            {**claims, "roles": list(roles), "iat": now, "exp": now + _SECONDS},
            self._key,
            algorithm="EdDSA",
            headers={"kid": self._kid},
        )
