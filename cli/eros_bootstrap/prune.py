"""Packages that an earlier lock brought and this one does not name.

Left where they are, what works here would fail elsewhere. And two packages may carry the same file:
when one goes, the other has to be unpacked again.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from eros_bootstrap.failure import PreparationError
from eros_bootstrap.pip_source import PipCommand

#: What a new environment has by itself.
_TOOLS = frozenset({"pip", "setuptools", "wheel", "distribute"})

# Runs in the environment: prints the name of each package and the files in it.
_LIST = """
import importlib.metadata as m
for d in m.distributions():
    for f in d.files or ():
        print(d.metadata["Name"], f, sep="\\t")
"""


def prune(pip: PipCommand, python: Path, lock: Path) -> None:
    """Remove what the lock does not name. Raises PreparationError."""
    blocks = lock_blocks(lock.read_text())
    files = _installed(python)
    extra = sorted(files.keys() - blocks.keys() - _TOOLS)
    if not extra:
        return
    _pip(pip, "uninstall", "--yes", "--quiet", *extra)
    lost = set().union(*(files[name] for name in extra))
    torn = [name for name in files.keys() & blocks.keys() if files[name] & lost]
    if not torn:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as some:
        some.write("".join(blocks[name] for name in sorted(torn)))
        some.flush()
        again = ("--force-reinstall", "--no-deps", "--require-hashes", "--requirement", some.name)
        _pip(pip, "install", "--disable-pip-version-check", "--no-input", "--quiet", *again)


def lock_blocks(text: str) -> dict[str, str]:
    """The lines of each package in the lock, by its normal name."""
    blocks: dict[str, str] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if line[:1].isalnum():
            name = _normal(re.split(r"[=\[; ]", line, maxsplit=1)[0])
        if name:
            blocks[name] = blocks.get(name, "") + line
    return blocks


def _installed(python: Path) -> dict[str, set[str]]:
    done = subprocess.run([python, "-I", "-c", _LIST], check=True, capture_output=True, text=True)
    files: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        name, _, file = line.partition("\t")
        if not file.endswith(".pyc"):
            files.setdefault(_normal(name), set()).add(file)
    return files


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pip(pip: PipCommand, *words: str) -> None:
    done = subprocess.run([*pip.arguments, *words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise PreparationError(f"pip {words[0]} failed:\n{done.stdout}{done.stderr}")
