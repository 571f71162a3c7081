"""What has to be there before the CLI can run, and in which order it is made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from eros_bootstrap.checkout import Checkout, read_stamp
from eros_bootstrap.generate import generate
from eros_bootstrap.packages import install_packages
from eros_bootstrap.progress import Progress


def prepare(checkout: Checkout, progress: Progress) -> None:
    """Make packages and generated code current; does nothing, fast, when they are.

    Raises PreparationError with what to do about it.
    """
    if _is_current(checkout):
        return
    with _alone(checkout, progress):
        # Whoever held the lock before us may have done it all.
        if not _has_packages(checkout):
            install_packages(checkout, progress)
        if read_stamp(checkout.gen_stamp) != checkout.gen_key():
            generate(checkout, progress)


def _is_current(checkout: Checkout) -> bool:
    return _has_packages(checkout) and read_stamp(checkout.gen_stamp) == checkout.gen_key()


def _has_packages(checkout: Checkout) -> bool:
    return read_stamp(checkout.packages_stamp) == checkout.packages_key() and (
        checkout.has_packages()
    )


@contextmanager
def _alone(checkout: Checkout, progress: Progress) -> Iterator[None]:
    """Hold the checkout's preparation lock; the kernel frees it when this process ends."""
    with (checkout.root / ".eros.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            with progress.step(f"waiting for {owner}, which is preparing this checkout"):
                fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
