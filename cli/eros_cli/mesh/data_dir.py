"""Everything a mesh keeps on disk, under one directory that is its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eros_cli.mesh.faults import MeshError
from eros_cli.paths import CHECKOUT

VARIABLE = "EROS_DATA_DIR"
#: `sun_path` of unix(7) holds 108 bytes with its terminating zero.
_LONGEST_SOCKET_PATH = 107
_LARGEST_LOG_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class DataDir:
    """The layout below `root`."""

    root: Path

    @classmethod
    def default(cls, environment: Mapping[str, str]) -> DataDir:
        """`EROS_DATA_DIR`; else /var/lib/eros for root, one a checkout for everybody else."""
        if chosen := environment.get(VARIABLE):
            return cls(Path(chosen).expanduser().absolute())
        if os.geteuid() == 0:
            return cls(Path("/var/lib/eros"))
        base = Path(environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        name = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]
        return cls(base / "eros" / name)

    def create(self) -> None:
        """Make the directory and what is private in it. Raises MeshError where that is denied.

        Others may pass through (not list) it, because as root PostgreSQL runs as `nobody`.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o711)
            for private in (self.keys, self.logs, self.run, self.worker):
                private.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MeshError(
                f"cannot use {self.root} for data ({error.strerror}); set {VARIABLE} to another "
                "folder"
            ) from None

    def put_old_logs_aside(self) -> None:
        """Those of the last run stay, as `.log.1`."""
        for log in self.logs.glob("*.log"):
            log.rename(log.with_name(f"{log.name}.1"))

    def shorten_logs(self, most: int = _LARGEST_LOG_BYTES) -> None:
        """Those larger than that begin anew, and what they were stays as `.log.1`, where there is
        room for it. Programs append to theirs and notice nothing. Blocks while it copies."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > most:
                old = log.with_name(f"{log.name}.1")
                try:
                    shutil.copyfile(log, old)
                except OSError:
                    old.unlink(missing_ok=True)
                os.truncate(log, 0)

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def worker(self) -> Path:
        """Market snapshots, mapped by the workers' compute children."""
        return self.root / "worker"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def signing_keys(self) -> Path:
        """Accounts' Ed25519 keys for access tokens."""
        return self.keys / "signing"

    @property
    def service_keys(self) -> Path:
        """One Ed25519 key a service, for its own identity."""
        return self.keys / "services"

    @property
    def service_jwks(self) -> Path:
        """The public half of all service keys."""
        return self.keys / "services.json"

    @property
    def client_environment(self) -> Path:
        """How other commands reach a running mesh; secrets are in it."""
        return self.keys / "environment.json"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def clock(self) -> Path:
        """How far the night clock is ahead of the wall."""
        return self.root / "clock.json"

    @property
    def demo_password(self) -> Path:
        """The demo accounts' password."""
        return self.keys / "demo-password"

    @property
    def gateway_configuration(self) -> Path:
        return self.run / "envoy.yaml"

    def socket(self, name: str) -> Path:
        """A path for a unix socket; in the system's folder for those where ours is too long."""
        path = self.run / f"{name}.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"eros-{os.geteuid()}-{digest}-{name}.sock"
