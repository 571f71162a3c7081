"""The doctor on a mesh that is well, on one that is not there, and on others' servers."""

from __future__ import annotations

import httpx
import pytest

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operations.doctor import Doctor, Finding, Verdict
from eros_cli.operator import open_operator
from tests.support.people import PASSWORD, sign_up, succeeded


def wrong(findings: list[Finding]) -> dict[str, str]:
    return {f.what: f.remedy for f in findings if f.verdict is Verdict.WRONG}


async def test_a_mesh_that_is_well(mesh: Mesh, gateway: httpx.AsyncClient) -> None:
    person = await sign_up(gateway)
    async with open_operator(mesh.environment()) as operator:
        await operator.accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=person.email))
    body = {"email": person.email, "password": PASSWORD}
    token = succeeded(await gateway.post("/auth/login", json=body))["token"]
    async with httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http:
        findings = await Doctor(http, token).examine()
        assert not wrong(findings), findings
        looked_at = {finding.what for finding in findings}
        assert {"part postgres", "signing keys", "workers", "console"} <= looked_at
        refused = await Doctor(http, "no token").examine()
        assert wrong(refused).keys() == {"night"}


@pytest.mark.parametrize(
    ("pool", "pause", "verdicts"),
    [
        ({"status": "ok"}, "", {"workers": Verdict.GOOD, "watching": Verdict.GOOD}),
        (
            {"status": "degraded", "message": "no worker is connected, and jobs wait for 301 s"},
            "",
            {"workers": Verdict.WRONG, "watching": Verdict.GOOD},
        ),
        (
            {"status": "degraded", "message": "paused: blind"},
            "blind",
            {"workers": Verdict.GOOD, "watching": Verdict.ODD},
        ),
    ],
)
async def test_a_pool_without_workers_is_ill_only_where_jobs_wait(
    pool: dict[str, str], pause: str, verdicts: dict[str, Verdict]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}
        night = {"kinds": [{"ready": 3}], "pauseReason": pause}
        parts = {"workers": pool}
        if request.url.path == "/health":
            parts = {"workers": pool["status"]}  # type: ignore[dict-item]
        json = {"components": parts, "scheduler": night, "metrics": {"workers": 0}}
        return httpx.Response(200, headers=headers, json=json)

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport) as http:
        findings = await Doctor(http, "token").examine()
    assert verdicts.items() <= {f.what: f.verdict for f in findings}.items()


async def test_nobody_there() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9", trust_env=False) as http:
        [finding] = await Doctor(http).examine()
    assert finding.verdict is Verdict.WRONG
    assert finding.remedy


@pytest.mark.parametrize(
    ("path", "status", "what"),
    [
        ("/.well-known/jwks.json", 503, "signing keys"),
        ("/api/v1/users/profile", 200, "strangers are refused"),
        ("/eros.scheduler.v1.SchedulerService/GetOverview", 200, "inner services are hidden"),
        ("/api/v1/no/such/path", 502, "errors have one shape"),
    ],
)
async def test_each_fault_is_named(path: str, status: int, what: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}
        if request.url.path == path:
            return httpx.Response(status, headers=headers, json={})
        if request.url.path == "/health":
            return httpx.Response(200, headers=headers, json={"components": {"postgres": "down"}})
        error = {"code": "X", "message": "x", "requestId": "1"}
        kinds = {"/.well-known/jwks.json": 200, "/api/v1/heartbeat": 405}
        code = kinds.get(request.url.path, 401 if "profile" in request.url.path else 404)
        return httpx.Response(code, headers=headers, json={"error": error, "keys": [1]})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport) as http:
        found = wrong(await Doctor(http).examine())
    assert found.keys() >= {what, "part postgres", "clock"}
    assert all(found.values())


async def test_an_answer_that_cannot_be_read_is_a_finding() -> None:
    """Nothing else is left out for it: half of the gateway is away when one needs a doctor."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            return httpx.Response(200, json={"components": {"postgres": "ok"}})  # and no date
        if request.url.path == "/console":
            raise httpx.ReadTimeout("it hangs")
        return httpx.Response(200, text="<html>a page of the proxy</html>")

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=transport) as http:
        found = wrong(await Doctor(http, "token").examine())
    assert {"clock", "keys", "console", "night", "strangers are refused"} <= found.keys()
    assert all(found.values())
