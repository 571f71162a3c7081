"""Health over HTTP: of the whole mesh, and of one whose parts are taken away."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import MeshOptions
from eros_cli.operator import open_operator
from tests.support.people import PASSWORD, refused, sign_up, succeeded

PARTS = {
    *("accounts", "activity", "scheduler", "matcher", "assistant"),
    *("workers", "postgres", "valkey", "cache", "envoy"),
}


async def test_health_is_public_and_says_no_reasons(mesh: Mesh) -> None:
    async with httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http:
        for path in ("/health", "/api/v1/health"):
            answer = succeeded(await http.get(path))
            assert answer.keys() == {"status", "uptime", "components", "metrics"}
            assert answer["components"].keys() == PARTS
            assert answer["components"]["postgres"] == "ok"
            assert answer["uptime"] > 0


async def test_details_are_for_administrators(mesh: Mesh, gateway: httpx.AsyncClient) -> None:
    person = await sign_up(gateway, "Hedda")
    refused(await gateway.get("/health/detailed"), 401, "UNAUTHENTICATED")
    refused(await person.call("GET", "/health/detailed"), 403, "PERMISSION_DENIED")
    async with open_operator(mesh.environment()) as operator:
        await operator.accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=person.email))
    body = {"email": person.email, "password": PASSWORD}
    person.token = succeeded(await gateway.post("/auth/login", json=body))["token"]
    await person.get("/users/profile")
    answer = await person.get("/health/detailed")
    assert answer.keys() == {"status", "uptime", "components", "metrics", "cache", "scheduler"}
    assert {kind["kind"] for kind in answer["scheduler"]["kinds"]} >= {"analyze", "score", "match"}
    assert all("successRate" in kind for kind in answer["scheduler"]["kinds"])
    assert answer["components"]["postgres"]["latencyMs"] > 0


async def test_what_is_taken_away_is_missed_and_found_again() -> None:
    options = MeshOptions(
        workers=1,
        environment=clean_environment(),
        settings={"EROS_HEALTH_CACHE_SECONDS": "0"},
        durable=False,
    )
    async with (
        Mesh(options) as own,
        httpx.AsyncClient(base_url=own.url, trust_env=False) as http,
    ):
        await _until(http, 200, "ok")
        for part in ("matcher", "assistant"):
            await own.stop(part)
            answer = await _until(http, 200, "degraded")
            assert answer["components"][part] == "down"
            await own.start(part)
            await _until(http, 200, "ok")
        await own.stop("postgres")
        answer = await _until(http, 503, "down")
        assert answer["components"]["postgres"] == "down"
        await own.start("postgres")
        await _until(http, 200, "ok")


async def _until(http: httpx.AsyncClient, http_status: int, status: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            response = await http.get("/health")
            if response.status_code == http_status:
                answer: dict[str, Any] = response.json()
                if answer["status"] == status:
                    return answer
            await asyncio.sleep(0.02)
