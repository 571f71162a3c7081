"""Compiles the kernel ahead of time: `python -m eros_matcher.kernel DIRECTORY [LEVEL …]`, by
default for this machine, `all` for every level of its architecture.

One object file a level of the processor, so that one image runs everywhere, and so that no process
ever compiles while people wait. Takes about ten seconds a level.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from eros_matcher.kernel.levels import LEVELS, host_level, host_levels, object_name


def compile_all(directory: Path, levels: tuple[str, ...]) -> None:
    """Write what is missing; each level in a process of its own, Numba has one target a process."""
    directory.mkdir(parents=True, exist_ok=True)
    for level in levels:
        path = directory / object_name(level)
        if path.exists():
            continue
        subprocess.run(
            [sys.executable, "-P", "-m", "eros_matcher.kernel", "--one", str(path)],
            check=True,
            env=os.environ
            | {
                "NUMBA_CPU_NAME": LEVELS[level],
                "NUMBA_CPU_FEATURES": "",
                # Without it, sixteen sums side by side are sixteen sums one after the other.
                "NUMBA_SLP_VECTORIZE": "1",
                "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
            },
        )


def _compile_one(path: Path) -> None:
    # Only here: what computes must never import Numba.
    from eros_matcher.kernel.emit import emit

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(emit())
    temporary.rename(path)


def main(arguments: list[str]) -> None:
    if arguments[0] == "--one":
        _compile_one(Path(arguments[1]))
    else:
        directory, *levels = arguments
        if levels == ["all"]:
            levels = list(host_levels())
        compile_all(Path(directory), tuple(levels) or (host_level(),))
