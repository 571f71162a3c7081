"""What is done to the mesh during a soak: every part killed, frozen and restarted at random."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Final

from eros_cli.mesh.faults import MeshError
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.processes import signal_worker
from eros_cli.operations.soak_report import Report

_BETWEEN_SECONDS: Final = (8.0, 25.0)
_FROZEN_SECONDS: Final = (0.5, 5.0)
_BACK_SECONDS: Final = 60.0


class Faults:
    """One after the other: the next comes when the part is back."""

    def __init__(self, mesh: Mesh, random: Random, report: Report) -> None:
        self._mesh = mesh
        self._random = random
        self._report = report

    async def run(self) -> None:
        """For ever; every part gets its turn before any gets a second one."""
        while True:
            names = list(self._mesh.names())
            self._random.shuffle(names)
            for name in names:
                await asyncio.sleep(self._random.uniform(*_BETWEEN_SECONDS))
                ways: list[tuple[str, Callable[[str], Awaitable[None]]]] = [
                    ("kill", self._kill),
                    ("freeze", self._freeze),
                    ("restart", self._mesh.restart),
                ]
                way, do = self._random.choice(ways)
                self._report.faults[f"{way} {name}"] += 1
                began = time.time()
                try:
                    async with asyncio.timeout(_BACK_SECONDS):
                        await do(name)
                finally:
                    self._report.faulty.append((began, time.time()))

    async def _kill(self, name: str) -> None:
        await self._mesh.kill(name)
        await self._mesh.until_serving(name)

    async def _freeze(self, name: str) -> None:
        try:
            pid = self._mesh.pid(name)
        except MeshError:
            return
        send = signal_worker if name.startswith("worker") else os.killpg
        send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._random.uniform(*_FROZEN_SECONDS))
        finally:
            with suppress(ProcessLookupError):
                send(pid, signal.SIGCONT)
