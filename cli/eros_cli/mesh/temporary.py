"""Data directories that last as long as their mesh, or as long as nobody cleans up after a kill."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eros_cli.mesh.data_dir import DataDir
from eros_cli.mesh.faults import AlreadyRunning
from eros_cli.mesh.state import read_state, sole_supervisor

_PREFIX = "eros-mesh-"


@contextmanager
def temporary_data_dir() -> Iterator[DataDir]:
    """A new one, removed at the end; first, those that killed supervisors left are removed."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    root = tempfile.mkdtemp(prefix=_PREFIX)
    try:
        yield DataDir(Path(root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for root in folder.glob(f"{_PREFIX}*"):
        # Whoever owns one may be removing it at this moment.
        with suppress(AlreadyRunning, FileNotFoundError):
            if _is_abandoned(root):
                with sole_supervisor(DataDir(root)):
                    shutil.rmtree(root, ignore_errors=True)


def _is_abandoned(root: Path) -> bool:
    """Another user's is not ours to judge; one without a state is only just being made."""
    if root.stat().st_uid != os.geteuid():
        return False
    state = read_state(DataDir(root))
    return state is not None and not state.supervisor.is_alive()
