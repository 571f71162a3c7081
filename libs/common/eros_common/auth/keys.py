"""Where the public keys that verify tokens come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from eros_common import logging
from eros_common.auth.keyfiles import parse_jwks
from eros_common.clocks import Clock, SystemClock
from eros_common.errors import ErosError, Unavailable

log = logging.get("auth.keys")


class KeySource(Protocol):
    """Public keys by kid."""

    @property
    def version(self) -> int:
        """Changes whenever the set of keys does, so that verified tokens are verified again."""
        ...

    def get(self, kid: str) -> Ed25519PublicKey | None:
        """The key, from memory."""
        ...

    async def refresh(self) -> None:
        """Looks for newer keys, at most every few seconds. ``Unavailable`` if there are none at
        all and the source cannot be reached."""
        ...


class StaticKeys:
    """Keys that are known: accounts' own ring, and tests."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        self._keys = dict(keys)
        self.version = 1

    def get(self, kid: str) -> Ed25519PublicKey | None:
        return self._keys.get(kid)

    def replace(self, keys: Mapping[str, Ed25519PublicKey]) -> None:
        """Puts another set of keys in place (rotation)."""
        self._keys = dict(keys)
        self.version += 1

    async def refresh(self) -> None:
        """There is nowhere to look."""


class FileKeys:
    """A JWKS file, read again when a token names a key it did not have."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._keys: dict[str, Ed25519PublicKey] = {}
        self.version = 0
        self._load()

    def get(self, kid: str) -> Ed25519PublicKey | None:
        return self._keys.get(kid)

    async def refresh(self) -> None:
        # One stat and at most one small local read; not worth a thread.
        try:
            self._load()
        except ValueError as error:
            log.warning("unreadable", path=str(self._path), error=str(error))

    def _load(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp == self._stamp:
                return
            self._keys = parse_jwks(self._path.read_bytes())
        except OSError as error:
            raise ValueError(f"cannot read {self._path}: {error.strerror}") from None
        self._stamp = stamp
        self.version += 1


class RemoteKeys:
    """A JWKS fetched from elsewhere (accounts' ``GetJwks``): at first use, when a token names an
    unknown key (at most every ``min_seconds``), and every ``period_seconds``."""

    PERIOD_SECONDS: Final = 300.0
    MIN_SECONDS: Final = 5.0

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        clock: Clock | None = None,
        period_seconds: float = PERIOD_SECONDS,
        min_seconds: float = MIN_SECONDS,
    ) -> None:
        self._fetch = fetch
        self._clock = clock or SystemClock()
        self._period = period_seconds
        self._min = min_seconds
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._document = b""
        self._tried_at = float("-inf")
        self._failed = False
        self._lock = asyncio.Lock()
        self.version = 0

    def get(self, kid: str) -> Ed25519PublicKey | None:
        return self._keys.get(kid)

    async def refresh(self) -> None:
        async with self._lock:  # those who wait find the answer of the one who asked
            if self._keys and self._clock.monotonic() - self._tried_at < self._min:
                return
            self._tried_at = self._clock.monotonic()
            await self._load()
        if not self._keys:
            raise Unavailable("the keys that verify tokens cannot be reached now")

    async def run(self) -> None:
        """Refreshes for ever; a background task."""
        while True:
            await self._clock.sleep(self._period)
            async with self._lock:
                await self._load()

    async def _load(self) -> None:
        try:
            document = await self._fetch()
            if document != self._document:
                self._keys = parse_jwks(document)
                self._document = document
                self.version += 1
        except (ErosError, ValueError) as error:
            # The keys we have stay good; said once per outage.
            if not self._failed:
                log.warning("fetch_failed", error=str(error))
            self._failed = True
        else:
            self._failed = False
