"""Apertium English↔Spanish for the assistant, brought where it can be, never waited for long."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eros_cli.mesh.data_dir import DataDir

PACKAGE: Final = "apertium-eng-spa"
SECONDS: Final = 90.0
"""For all of it."""
_MODE: Final = "usr/share/apertium/modes/eng-spa.mode"
# Nothing of the system is changed: root would ask for its lock, and hand downloads to another user.
_READ_ONLY: Final = ("-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root")
_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def folder(environment: Mapping[str, str]) -> Path:
    """Where packages are unpacked where apt may not install: beside this machine's other data."""
    return DataDir.default(environment).root / "apertium"


def is_there(root: Path) -> bool:
    return (root / _MODE).exists() and (root / "usr/bin/lt-proc").exists()


def bring(target: Path) -> str:
    """Brings it unless it is there; one sentence on how that went."""
    if is_there(Path("/")) or is_there(target):
        return "Translation: Apertium English↔Spanish is there."
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return (
            "Translation: no Apertium, because this machine has no apt; see EROS_ASSISTANT_LLM_URL."
        )
    deadline = time.monotonic() + SECONDS
    where = "into the system"
    try:
        if os.geteuid() != 0 or not _install(deadline):
            _unpack(target, deadline)
            where = f"into {target}"
    except subprocess.TimeoutExpired:
        return f"Translation: no Apertium, because apt took longer than {SECONDS:.0f} s."
    except (subprocess.CalledProcessError, OSError):
        return (
            f"Translation: no Apertium, because apt could not bring {PACKAGE} "
            "(`apt-get update` may help)."
        )
    if not (is_there(Path("/")) or is_there(target)):
        return f"Translation: no Apertium, because {PACKAGE} is another one here."
    return f"Translation: Apertium English↔Spanish was brought, {where}."


def _install(deadline: float) -> bool:
    """As root, by apt; nothing else may go for it. False where it cannot, as with a system that is
    read-only or that another apt is changing."""
    try:
        _run(
            deadline,
            *("apt-get", "install", "-y", "-qq", "--no-install-recommends", "--no-remove", PACKAGE),
        )
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def _unpack(target: Path, deadline: float) -> None:
    """What is not installed yet, without root: downloaded and unpacked, nothing is configured."""
    listed = _run(
        deadline,
        *("apt-get", "install", "--simulate", "-qq", *_READ_ONLY, "--no-install-recommends"),
        PACKAGE,
    )
    # Inst name (version origin [architecture])
    names = [line.split()[1] for line in listed.splitlines() if line.startswith("Inst ")]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="apertium-") as temporary:
        downloads, unpacked = Path(temporary) / "deb", Path(temporary) / "root"
        downloads.mkdir()
        _run(deadline, "apt-get", "download", "-qq", *_READ_ONLY, *names, directory=downloads)
        for package in sorted(downloads.glob("*.deb")):
            _run(deadline, "dpkg", "-x", str(package), str(unpacked))
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)


def _run(deadline: float, *command: str, directory: Path | None = None) -> str:
    done = subprocess.run(
        command,
        check=True,
        cwd=directory,
        env={**os.environ, **_QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=max(1.0, deadline - time.monotonic()),
    )
    return done.stdout
