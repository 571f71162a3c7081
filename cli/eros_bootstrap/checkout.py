"""Where things are in a checkout, and the stamps that say what has been prepared."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Folders whose packages are importable; `gen` holds generated code.
IMPORT_ROOTS = (
    "libs/common",
    "libs/advice",
    "services/accounts",
    "services/activity",
    "services/assistant",
    "services/scheduler",
    "services/matcher",
    "services/gateway",
    "cli",
    "gen",
)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout of EROS at `root` (absolute, links resolved)."""

    root: Path

    @classmethod
    def of_this_file(cls) -> Checkout:
        return cls(Path(__file__).resolve().parent.parent.parent)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def gen(self) -> Path:
        return self.root / "gen"

    @property
    def lock_list(self) -> Path:
        """The packages with their hashes."""
        return self.root / "requirements.lock"

    @property
    def data_locks(self) -> tuple[Path, ...]:
        """The wheels of which only the data is used: the assistant's vectors, the charts."""
        return self.root / "vectors.lock", self.root / "charts.lock"

    @property
    def packages_stamp(self) -> Path:
        return self.venv / ".eros-prepared"

    @property
    def gen_stamp(self) -> Path:
        return self.gen / ".eros-generated"

    def proto_files(self) -> list[Path]:
        """Every contract, ours and others', in a stable order."""
        return sorted(
            path
            for folder in ("protos", "third_party")
            for path in (self.root / folder).rglob("*.proto")
        )

    def kernel_files(self) -> list[Path]:
        """What the matching kernel is compiled from."""
        return sorted((self.root / "services/matcher/eros_matcher/kernel").glob("*.py"))

    def has_packages(self) -> bool:
        """Whether the environment's interpreter is there and finds them. The system's may be gone,
        or another version by now, for which nothing is installed."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        found = self.venv / "lib" / version / "site-packages" / "eros.pth"
        return os.access(self.python, os.X_OK) and found.exists()

    def packages_key(self) -> str:
        """Changes with the lock, with the place of the checkout and with what is importable.

        A virtual environment cannot be moved: its scripts name their interpreter by path.
        """
        locks = [lock.read_bytes() for lock in (self.lock_list, *self.data_locks)]
        return _digest([*locks, str(self.root).encode(), _roots_text()])

    def gen_key(self) -> str:
        """Changes with any contract, the kernel, the lock (it holds the generators), or how they
        are run."""
        generator = Path(__file__).with_name("generate.py")
        parts = [self.lock_list.read_bytes(), generator.read_bytes()]
        for path in [*self.proto_files(), *self.kernel_files()]:
            parts += [str(path.relative_to(self.root)).encode(), path.read_bytes()]
        return _digest(parts)


def read_stamp(path: Path) -> str | None:
    """The stamp's text, or None where it was never written."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _roots_text() -> bytes:
    return "\n".join(IMPORT_ROOTS).encode()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
