"""A scheduler as it runs in production, but for who is around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from eros.activity.v1.activity_pb2_grpc import add_ActivityServiceServicer_to_server
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceStub
from eros_common.auth import ServiceIdentity
from eros_common.channel import open_channel
from eros_common.ids import UserId
from eros_common.lifecycle import Running, running
from eros_common.testing import TestTokens, start_server
from eros_scheduler.__main__ import compose
from eros_scheduler.config import SchedulerSettings
from eros_scheduler.core.model import JobKind
from tests.integration.scheduler.scripted import ScriptedActivity, ScriptedWorker
from tests.ports.scheduler.stores import BERLIN, PostgresFences, person

EVENING = datetime(2026, 1, 1, 22, tzinfo=UTC)
NIGHT = datetime(2026, 1, 2, 4, 30, tzinfo=UTC)
"""All phases are open in Berlin, for an hour and a half."""


class World:
    """The database, activity, schedulers and workers of one test."""

    def __init__(
        self,
        url: str,
        admin: asyncpg.Connection,
        key_file: Path,
        tokens: TestTokens,
        activity: ScriptedActivity,
        activity_address: str,
        stack: AsyncExitStack,
    ) -> None:
        self.admin = admin
        self.fences = PostgresFences(admin)
        self.activity = activity
        self.addresses: list[str] = []
        """Of the schedulers, as they came."""
        self._url = url
        self._key_file = key_file
        self._tokens = tokens
        self._activity_address = activity_address
        self._stack = stack

    async def people(self, count: int, *, asleep: bool = True) -> list[UserId]:
        users = [person(n + 1) for n in range(count)]
        await self.fences.mark_due(users, [BERLIN] * count, JobKind.ANALYZE, EVENING)
        if asleep:
            self.activity.sleepers.update(dict.fromkeys(users, EVENING.timestamp()))
        return users

    def settings(self, **changes: Any) -> SchedulerSettings:
        return SchedulerSettings(
            database_url=SecretStr(self._url),
            listen="127.0.0.1:0",
            activity_address=self._activity_address,
            service_key_file=self._key_file,
            night_epoch=NIGHT,
            night_t0=datetime.now(UTC) - timedelta(seconds=1),
            stop_grace_seconds=4,
            **{"tick_seconds": 0.2, "alive_seconds": 0.1, **changes},
        )

    async def scheduler(self, **changes: Any) -> SchedulerServiceStub:
        stub, _ = await self.scheduler_and_service(**changes)
        return stub

    async def scheduler_and_service(
        self, **changes: Any
    ) -> tuple[SchedulerServiceStub, AsyncExitStack]:
        """The second closes it before the test ends."""
        stack = await self._stack.enter_async_context(AsyncExitStack())
        service: Running = await stack.enter_async_context(
            running(
                "scheduler",
                self.settings(**changes),
                compose,
                auth=self._tokens.auth("scheduler"),
            )
        )
        self.addresses.append(f"127.0.0.1:{service.port}")
        channel = open_channel(self.addresses[-1], retry=False)
        self._stack.push_async_callback(channel.close)
        return SchedulerServiceStub(channel), stack

    def identity(self, name: str) -> ServiceIdentity:
        return self._tokens.identity(name)

    def metadata(self, name: str = "worker") -> Any:
        return self._tokens.service(name, "scheduler")

    def stranger(self, stub: SchedulerServiceStub, name: str, **kwargs: Any) -> ScriptedWorker:
        """A worker that has said nothing yet."""
        worker = ScriptedWorker(stub, name, kwargs.pop("metadata", self.metadata()), **kwargs)
        self._stack.push_async_callback(worker.close)
        return worker

    async def worker(
        self,
        stub: SchedulerServiceStub,
        name: str = "w1",
        kinds: Sequence[JobKind] = (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH),
    ) -> ScriptedWorker:
        """Connected, welcome and ready."""
        worker = self.stranger(stub, name)
        await worker.hello(kinds=kinds)
        await worker.heard("welcome")
        await worker.ready()
        return worker


@pytest.fixture
async def world(postgres_url: str, tmp_path: Path) -> AsyncIterator[World]:
    tokens = TestTokens()
    key_file = tmp_path / "scheduler.pem"
    key_file.write_bytes(
        tokens.service_keys["scheduler"].private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    )
    activity = ScriptedActivity()  # type: ignore[abstract]
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(
            "TRUNCATE scheduler.jobs, scheduler.zones, scheduler.halts, scheduler.audit"
        )
        async with (
            start_server(
                (add_ActivityServiceServicer_to_server, activity), tokens=tokens, name="activity"
            ) as server,
            AsyncExitStack() as stack,
        ):
            yield World(postgres_url, admin, key_file, tokens, activity, server.address, stack)
            await activity.cut()
    finally:
        await admin.close()
