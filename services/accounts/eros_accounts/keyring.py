"""The keys that sign access tokens: a folder of Ed25519 PEM files, watched.

The kid is the file's stem. All of them verify. The newest signs, but not before it has been there
for long enough that every gateway has fetched it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from eros_accounts.domain.sessions import Holder, Lifetimes
from eros_common import logging
from eros_common.auth import StaticKeys
from eros_common.auth.keyfiles import jwks, read_private_key
from eros_common.auth.tokens import ALGORITHM, USER_AUDIENCE, USER_ISSUER
from eros_common.clocks import Clock

LOOK_SECONDS: Final = 1.0

log = logging.get("accounts.keys")

_Stamp = tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class _Ring:
    stamp: _Stamp
    signing_kid: str
    keys: Mapping[str, Ed25519PrivateKey]
    document: bytes


class KeyRing:
    """Signs access tokens and publishes the keys that verify them."""

    def __init__(self, folder: Path, clock: Clock, settle_seconds: float = 0.0) -> None:
        """``settle_seconds``: how old a key must be (its file's time, by the wall) to sign.
        ``ValueError`` if the folder holds no key, or a file that is none."""
        self._folder = folder
        self._clock = clock
        self._settle = settle_seconds
        self._ring = _load(folder, _stamp(folder), self._signing)
        self.verifying = StaticKeys(_public(self._ring))

    @property
    def document(self) -> bytes:
        """The public keys as a JWKS (RFC 7517)."""
        return self._ring.document

    def access_token(self, holder: Holder, now: datetime, lifetimes: Lifetimes) -> str:
        """A signed access token of a session."""
        issued = int(now.timestamp())
        claims = {
            "iss": USER_ISSUER,
            "aud": USER_AUDIENCE,
            "sub": str(holder.user_id),
            "sid": holder.session_id,
            "roles": list(holder.roles),
            "iat": issued,
            "exp": issued + int(lifetimes.access.total_seconds()),
        }
        ring = self._ring
        key = ring.keys[ring.signing_kid]
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": ring.signing_kid})

    async def watch(self) -> None:
        """Looks for changes for ever; a background task."""
        fault = ""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                # A few stats; not worth a thread.
                stamp = _stamp(self._folder)
                if stamp != self._ring.stamp or self._signing(stamp) != self._ring.signing_kid:
                    self._take(_load(self._folder, stamp, self._signing))
                fault = ""
            except (ValueError, OSError) as error:
                # Somebody is in the middle of a change, or erred: the keys we have stay good.
                if str(error) != fault:
                    fault = str(error)
                    log.warning("refused", error=fault, signing=self._ring.signing_kid)

    def _signing(self, stamp: _Stamp) -> str:
        """The kid that signs now: of those known everywhere the newest, else the oldest."""
        settled = [name for written, name in stamp if self._is_settled(written)]
        return Path(settled[-1] if settled else stamp[0][1]).stem

    def _is_settled(self, written_ns: int) -> bool:
        if not self._settle:
            return True
        return self._clock.wall().timestamp() - written_ns / 1e9 >= self._settle

    def _take(self, ring: _Ring) -> None:
        self._ring = ring
        self.verifying.replace(_public(ring))
        log.info("changed", kids=sorted(ring.keys), signing=ring.signing_kid)


def _stamp(folder: Path) -> _Stamp:
    """The key files, the newest last."""
    return tuple(sorted((file.stat().st_mtime_ns, file.name) for file in folder.glob("*.pem")))


def _load(folder: Path, stamp: _Stamp, signing: Callable[[_Stamp], str]) -> _Ring:
    if not stamp:
        raise ValueError(f"no *.pem file in {folder}")
    keys = {Path(name).stem: read_private_key(folder / name) for _, name in stamp}
    document = jwks({kid: key.public_key() for kid, key in keys.items()})
    return _Ring(stamp, signing(stamp), keys, document.encode())


def _public(ring: _Ring) -> dict[str, Ed25519PublicKey]:
    return {kid: key.public_key() for kid, key in ring.keys.items()}
