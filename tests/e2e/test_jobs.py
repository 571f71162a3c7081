"""`eros jobs` as an operator types it, on a running mesh."""

from __future__ import annotations

import asyncio
import re
import sys
from uuid import uuid4

import httpx

from eros_cli.mesh.mesh import Mesh
from tests.support.people import sign_up

KINDS = ["analyze", "score", "match", "prepare"]


class Shell:
    """Types commands where the mesh's keys are."""

    def __init__(self, mesh: Mesh) -> None:
        self._environment = mesh.environment()

    async def jobs(self, *words: str, fails: int = 0) -> str:
        """What `eros jobs WORDS` prints; it must end with the exit code `fails`."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "eros_cli", "jobs", *words),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode()
        assert process.returncode == fails, text
        return text

    async def states(self, user: str) -> dict[str, str]:
        """The state of each kind of a person's jobs."""
        cells = (_cells(line) for line in (await self.jobs("list", "--user", user)).splitlines())
        return {row[1]: row[2] for row in cells if row and row[0] == user}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split("[│┃|]", line)[1:-1]]


async def test_a_job_is_found_explained_cancelled_and_retried(
    mesh: Mesh, gateway: httpx.AsyncClient
) -> None:
    shell = Shell(mesh)
    user = (await sign_up(gateway)).user_id
    # Nobody sleeps: whatever they have waits.
    assert await shell.states(user) == dict.fromkeys(KINDS, "queued")
    explained = await shell.jobs("explain", user)
    assert all(kind in explained for kind in KINDS)

    said = await shell.jobs("cancel", user, "--kind", "match", "--reason", "asked to by letter")
    assert said.startswith("1 jobs are cancelled")
    assert (await shell.states(user))["match"] == "dead"
    assert user in await shell.jobs("list", "--state", "dead", "--limit", "1000")
    explained = await shell.jobs("explain", user)
    assert "cancelled" in explained
    assert "asked to by letter" in explained

    assert (await shell.jobs("retry", user)).startswith("1 jobs are back")
    assert await shell.states(user) == dict.fromkeys(KINDS, "queued")
    assert "retried" in await shell.jobs("explain", user)
    assert (await shell.jobs("retry", user)).startswith("0 jobs are back")


async def test_the_night_at_a_glance(mesh: Mesh) -> None:
    text = await Shell(mesh).jobs()
    assert "Night clock" in text
    assert all(kind in text for kind in KINDS)


async def test_what_makes_no_sense_is_refused(mesh: Mesh) -> None:
    shell = Shell(mesh)
    assert "no user id" in await shell.jobs("explain", "somebody", fails=2)
    assert "must be one of" in await shell.jobs("list", "--state", "asleep", fails=2)
    assert "must be one of" in await shell.jobs("retry", "--kind", "marry", fails=2)
    assert "has no jobs" in await shell.jobs("explain", str(uuid4()), fails=1)
