"""Connections end of age all the time (in k8s after five minutes): nobody's work does.

A real activity, scheduler and worker; each connection is cut after a second at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr

from eros_common.auth.keyfiles import private_pem
from eros_common.ids import UserId
from eros_common.lifecycle import running
from eros_common.testing import TestTokens
from eros_scheduler.__main__ import compose
from eros_scheduler.config import SchedulerSettings
from eros_scheduler.core.model import JobKind
from tests.integration.activity.service import activity
from tests.integration.worker.scheduler import JobRows
from tests.integration.worker.workers import ROWS, MatrixSource, TableSink, connected_worker
from tests.ports.scheduler.stores import BERLIN, PostgresFences

AGE: dict[str, Any] = {"max_connection_age_seconds": 0.5}
"""Asked to end then, ended after as long again."""
NIGHT = datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
"""All of Berlin's phases are open, for an hour and a half."""
PEOPLE = 2 * ROWS
LEASED, GIVEN_BACK, DONE = 1, 2, 3


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(40):
        while not await happened():
            await asyncio.sleep(0.05)


async def test_streams_go_on_and_nobodys_work_rests(
    postgres_url: str, valkey_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tokens = TestTokens()
    night: dict[str, Any] = {
        "night_epoch": NIGHT,
        "night_t0": datetime.now(UTC) - timedelta(seconds=1),
    }
    key = tmp_path / "scheduler.pem"
    key.write_bytes(private_pem(tokens.service_keys["scheduler"]))
    users = [UserId(uuid4()) for _ in range(PEOPLE)]
    admin = await asyncpg.connect(postgres_url)

    def cuts() -> int:
        """Of the worker's stream and of the scheduler's watch, whichever had fewer."""
        ends = (("worker.stream", "ended"), ("scheduler.watch", "interrupted"))
        return min(sum((r.name, r.msg) == end for r in caplog.records) for end in ends)

    async def results() -> int:
        return int(await admin.fetchval("SELECT count(*) FROM matcher.test_results"))

    async def at_work() -> UserId | None:
        found: UserId | None = await admin.fetchval(
            "SELECT user_id FROM scheduler.jobs WHERE state = 'l' ORDER BY 1 LIMIT 1"
        )
        return found

    async def cut_twice_and_at_work() -> bool:
        return cuts() >= 2 and await at_work() is not None

    async def all_but_one() -> bool:
        return await results() == PEOPLE - 1

    try:
        jobs = await JobRows.create(admin)
        await PostgresFences(admin).mark_due(
            users, [BERLIN] * PEOPLE, JobKind.MATCH, NIGHT - timedelta(hours=6)
        )
        # Analyzed and scored: their matches are what is due.
        later = NIGHT + timedelta(days=1)
        await admin.execute("UPDATE scheduler.jobs SET due_at = $1 WHERE kind IN (1, 2)", later)
        async with activity(valkey_url, tokens, **night, **AGE) as replica:
            asleep = (NIGHT - timedelta(hours=8)).timestamp()
            await replica.touch(*((user, asleep) for user in users))
            settings = SchedulerSettings(
                database_url=SecretStr(postgres_url),
                listen="127.0.0.1:0",
                activity_address=replica.address,
                service_key_file=key,
                stop_grace_seconds=4,
                tick_seconds=0.2,
                alive_seconds=0.1,
                batch_match=ROWS,
                # A batch takes some seconds so.
                cpu_cap_phase1=0.01,
                cpu_cap_phase2=0.02,
                cpu_cap_phase3=0.1,
                **night,
                **AGE,
            )
            async with (
                running("scheduler", settings, compose, auth=tokens.auth("scheduler")) as scheduler,
                connected_worker(
                    postgres_url,
                    f"127.0.0.1:{scheduler.port}",
                    tokens.identity("worker"),
                    MatrixSource(),
                    TableSink(),
                ),
            ):
                await until(cut_twice_and_at_work)
                woken = await at_work()
                assert woken is not None
                # What happens after a cut is heard as well.
                await replica.heartbeat(woken, app_active=True)
                await until(all_but_one)
                assert (await replica.stats()).HasField("paused_until") is False
        assert cuts() >= 3
        assert set(await jobs.results()) == set(users) - {woken}
        # The scheduler is closed: all is written. Nobody was leased twice, nobody halted but one.
        query = "SELECT event, why, users FROM scheduler.audit WHERE kind = $1"
        audit = await admin.fetch(query, int(JobKind.MATCH))
        events = sorted((row["event"], user) for row in audit for user in row["users"])
        assert events == sorted(
            [
                *((LEASED, user) for user in users),
                (GIVEN_BACK, woken),
                *((DONE, user) for user in users if user != woken),
            ]
        )
        assert {row["why"] for row in audit if row["event"] == GIVEN_BACK} == {"woke"}
        halted = await admin.fetch("SELECT user_id, durable_at FROM scheduler.halts")
        assert [row["user_id"] for row in halted] == [woken]
        assert halted[0]["durable_at"] is not None
    finally:
        await admin.close()
