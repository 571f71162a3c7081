"""Small programs for the supervisor to run."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from eros_cli.mesh.program import Program


def python_program(
    code: str,
    directory: Path,
    *,
    name: str = "sample",
    ready: Callable[[], Awaitable[None]] | None = None,
    stop_seconds: float = 5.0,
) -> Program:
    """A program that runs this Python; without `ready` it counts as ready when it is started."""

    async def at_once() -> None:
        """It serves nothing."""

    return Program(
        name=name,
        command=(sys.executable, "-I", "-S", "-c", code),
        environment={"PATH": os.defpath},
        ready=ready or at_once,
        directory=directory,
        stop_seconds=stop_seconds,
        ready_seconds=20.0,
    )


async def until_file(path: Path, lines: int = 1) -> list[str]:
    """The lines of a file that a program is writing, once there are this many."""
    while len(found := _lines(path)) < lines:
        await asyncio.sleep(0.01)
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
