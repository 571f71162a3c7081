"""The mesh as a library: restarted, reconfigured, killed in part, and serving again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from eros.scheduler.v1 import scheduler_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import NightClock
from eros_cli.operator import open_operator
from tests.support.mesh import whole_mesh

# A mesh of its own: what is done to it here would disturb everybody else.
NIGHT = NightClock(epoch=datetime(2026, 6, 1, 23, 30, tzinfo=UTC), t0=datetime.now(UTC), rate=100.0)


@pytest.fixture(scope="module")
async def own_mesh() -> AsyncIterator[Mesh]:
    async with whole_mesh() as mesh:
        yield mesh


async def register(mesh: Mesh, email: str) -> int:
    person = {"email": email, "password": "a good long password", "name": "Ann"}
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{mesh.url}/api/v1/auth/register", json=person)
    return answer.status_code


async def test_a_restarted_service_is_served_again(own_mesh: Mesh) -> None:
    before = own_mesh.pid("accounts")
    await own_mesh.restart("accounts")
    assert own_mesh.pid("accounts") != before
    # Envoy looks every half second whether a service that was away for long is back.
    async with asyncio.timeout(10):
        while (status := await register(own_mesh, "restarted@example.org")) == 503:
            await asyncio.sleep(0.05)
    assert status == 200


async def test_a_killed_gateway_comes_back(own_mesh: Mesh) -> None:
    await own_mesh.kill("envoy")
    await own_mesh.until_serving("envoy")
    assert await register(own_mesh, "gateway@example.org") == 200


async def test_a_frozen_worker_is_still_stopped(own_mesh: Mesh) -> None:
    os.kill(own_mesh.pid("worker-2"), signal.SIGSTOP)
    await own_mesh.restart("worker-2")


async def test_the_night_clock_changes_for_the_services_alone(own_mesh: Mesh) -> None:
    servers = [own_mesh.pid(name) for name in ("postgres", "valkey", "envoy")]
    services = [own_mesh.pid(name) for name in ("accounts", "scheduler", "worker-1")]
    await own_mesh.reconfigure(night=NIGHT, settings={"EROS_TICK_SECONDS": "0.5"})
    assert [own_mesh.pid(name) for name in ("postgres", "valkey", "envoy")] == servers
    assert not set(services) & {own_mesh.pid(name) for name in own_mesh.names()}

    environment = own_mesh.environment()
    assert environment["EROS_TICK_SECONDS"] == "0.5"
    async with open_operator(environment) as operator:
        overview = await operator.scheduler.GetOverview(scheduler_pb2.GetOverviewRequest())
    seconds = (overview.night_now.ToDatetime(tzinfo=UTC) - NIGHT.epoch).total_seconds()
    elapsed = (datetime.now(UTC) - NIGHT.t0).total_seconds()
    # In the second or so since, night time went on a hundred times as fast.
    assert 0 < seconds <= elapsed * NIGHT.rate
    assert await register(own_mesh, "night@example.org") == 200
