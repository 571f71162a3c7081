"""A worker in its own process, frozen past its lease: its jobs are redone, then it thaws."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from eros.scheduler.v1.scheduler_pb2_grpc import add_SchedulerServiceServicer_to_server
from eros_common.auth.keyfiles import private_pem
from eros_common.ids import UserId
from eros_common.testing import TestTokens, start_server
from eros_matcher.worker.child import process_cpu_seconds
from tests.integration.worker.scheduler import DrivenScheduler, JobRows, Session
from tests.integration.worker.workers import ROWS, SILENCE_SECONDS

NEWER = b"what the other worker found"


@asynccontextmanager
async def worker_process(
    postgres_url: str, address: str, key: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.worker.workers", address, str(key)),
        env=os.environ | {"DATABASE_URL": postgres_url},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def until_idle(child: int) -> None:
    """Until the compute child, which nobody froze, takes no CPU any more."""
    before = -1.0
    while (now := process_cpu_seconds(child)) > before:
        before = now
        await asyncio.sleep(0.5)


async def until_free(scheduler: DrivenScheduler, session: Session) -> None:
    """Until the worker asks for work: on a new stream, or on the old one after its report."""

    async def anew() -> None:
        again = await scheduler.sessions.get()
        # It was silence for the worker too: it comes back with nothing.
        assert list((await again.welcome()).held) == []
        await again.until("ready")

    async def still() -> None:
        end = await session.until("batch_end")
        assert (len(end.completed), len(end.failed)) == (0, 0)

    ways = [asyncio.create_task(way) for way in (anew(), still())]
    done, pending = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


@pytest.mark.parametrize("child_finishes", [False, True])
async def test_a_thawed_worker_writes_nothing(
    postgres_url: str, tmp_path: Path, child_finishes: bool
) -> None:
    """Thawed in the middle of its batch, or with all its results there to be committed."""
    tokens = TestTokens()
    key = tmp_path / "worker.pem"
    key.write_bytes(private_pem(tokens.service_keys["worker"]))
    scheduler = DrivenScheduler()
    admin = await asyncpg.connect(postgres_url)
    try:
        jobs = await JobRows.create(admin)
        async with (
            start_server(
                (add_SchedulerServiceServicer_to_server, scheduler), tokens=tokens, name="scheduler"
            ) as server,
            worker_process(postgres_url, server.address, key) as process,
        ):
            assert process.stdout is not None
            child = int(await process.stdout.readline())
            session = await scheduler.sessions.get()
            await session.welcome()
            await session.until("ready")
            users = [UserId(uuid4()) for _ in range(ROWS)]
            lease = await jobs.lease(users)
            # Several seconds of work, so that a status comes in the middle of it.
            lease.cpu_cap = 0.1 if child_finishes else 0.05
            session.say(lease=lease)
            while (await session.until("status")).rows_running < ROWS:
                pass
            process.send_signal(signal.SIGSTOP)
            if child_finishes:
                await until_idle(child)
            else:
                # Time passing is what this is about.
                await asyncio.sleep(1.5 * SILENCE_SECONDS)
            await jobs.redo(users, NEWER)
            process.send_signal(signal.SIGCONT)

            await asyncio.wait_for(until_free(scheduler, session), 30)
            assert await jobs.results() == dict.fromkeys(users, NEWER)
            for who in users:
                row = await jobs.row(who)
                assert (row["state"], row["last_halt"], row["checkpoint"]) == ("q", None, None)
    finally:
        await admin.close()
