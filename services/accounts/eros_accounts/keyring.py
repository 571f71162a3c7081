"""The keys that sign access tokens: a folder of Ed25519 PEM files, watched.

The kid is the file's stem. All of them verify. The last by name signs, so names are dates, but not
before it was seen for long enough that every gateway has fetched it. When a file was written tells
nothing of that: a volume of Kubernetes writes all of them anew whenever one is added.
"""

from __future__ import annotations

from collections.abc import Mapping
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

_Stamp = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Ring:
    stamp: _Stamp
    keys: Mapping[str, Ed25519PrivateKey]  # by kid, in the order of the kids
    document: bytes
    seen_at: Mapping[str, float]  # by kid, monotonic seconds


class KeyRing:
    """Signs access tokens and publishes the keys that verify them."""

    def __init__(self, folder: Path, clock: Clock, settle_seconds: float = 0.0) -> None:
        """``settle_seconds``: for how long this process must have seen a key for it to sign.
        ``ValueError`` if the folder holds no key, or a file that is none."""
        self._folder = folder
        self._clock = clock
        self._settle = settle_seconds
        self._ring = _load(folder, _stamp(folder), clock.monotonic(), None)
        self._signing_kid = self._signing()
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
        kid = self._signing_kid
        return jwt.encode(claims, self._ring.keys[kid], algorithm=ALGORITHM, headers={"kid": kid})

    async def watch(self) -> None:
        """Looks for changes for ever; a background task."""
        fault = ""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                # A few stats; not worth a thread.
                stamp = _stamp(self._folder)
                if stamp != self._ring.stamp:
                    self._ring = _load(self._folder, stamp, self._clock.monotonic(), self._ring)
                    self.verifying.replace(_public(self._ring))
                    log.info("read", kids=list(self._ring.keys))
                if (kid := self._signing()) != self._signing_kid:
                    self._signing_kid = kid
                    log.info("changed", signing=kid)
                fault = ""
            except (ValueError, OSError) as error:
                # Somebody is in the middle of a change, or erred: the keys we have stay good.
                if str(error) != fault:
                    fault = str(error)
                    log.warning("refused", error=fault, signing=self._signing_kid)

    def _signing(self) -> str:
        """The kid that signs now: the last of those known everywhere. When none is for sure, as
        after a start, that which was there first."""
        seen_at = self._ring.seen_at
        now = self._clock.monotonic()
        settled = [kid for kid, at in seen_at.items() if now - at >= self._settle]
        return settled[-1] if settled else min(seen_at, key=lambda kid: (seen_at[kid], kid))


def _stamp(folder: Path) -> _Stamp:
    """The key files by name. Their times tell that something changed, nothing more."""
    return tuple(sorted((file.stem, file.stat().st_mtime_ns) for file in folder.glob("*.pem")))


def _load(folder: Path, stamp: _Stamp, now: float, before: _Ring | None) -> _Ring:
    """``before``: of a key that was there already it is known since when."""
    if not stamp:
        raise ValueError(f"no *.pem file in {folder}")
    keys = {kid: read_private_key(folder / f"{kid}.pem") for kid, _ in stamp}
    public = {kid: key.public_key() for kid, key in keys.items()}
    seen_at = dict.fromkeys(keys, now)
    if before is not None:
        known = {kid: key.public_key() for kid, key in before.keys.items()}
        seen_at |= {
            kid: before.seen_at[kid] for kid, key in public.items() if known.get(kid) == key
        }
    return _Ring(stamp, keys, jwks(public).encode(), seen_at)


def _public(ring: _Ring) -> dict[str, Ed25519PublicKey]:
    return {kid: key.public_key() for kid, key in ring.keys.items()}
