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
_QUIET: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def folder(environment: Mapping[str, str]) -> Path:
    """Where packages are unpacked for who is not root: beside the other data of this machine."""
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
    try:
        if os.geteuid() == 0:
            _run(deadline, "apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE)
        else:
            _unpack(target, deadline)
    except subprocess.TimeoutExpired:
        return f"Translation: no Apertium, because apt took longer than {SECONDS:.0f} s."
    except (subprocess.CalledProcessError, OSError):
        return (
            f"Translation: no Apertium, because apt could not bring {PACKAGE} "
            "(`apt-get update` may help)."
        )
    if not (is_there(Path("/")) or is_there(target)):
        return f"Translation: no Apertium, because {PACKAGE} is another one here."
    return "Translation: Apertium English↔Spanish was brought."


def _unpack(target: Path, deadline: float) -> None:
    """What is not installed yet, without root: downloaded and unpacked, nothing is configured."""
    listed = _run(
        deadline, "apt-get", "install", "--print-uris", "-qq", "--no-install-recommends", PACKAGE
    )
    # 'address' name_version_arch.deb size hash
    names = [line.split()[1].split("_")[0] for line in listed.splitlines() if line.startswith("'")]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="apertium-") as temporary:
        downloads, unpacked = Path(temporary) / "deb", Path(temporary) / "root"
        downloads.mkdir()
        _run(deadline, "apt-get", "download", "-qq", *names, directory=downloads)
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
