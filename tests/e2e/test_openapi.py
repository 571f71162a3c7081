"""The document that describes the contract, held against the gateway that serves it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.operator import open_operator
from tests.support.people import PASSWORD, WHOLE, sign_up, succeeded

#: docs/adr/0502 says why.
_NOT_CHECKED = "positive_data_acceptance,negative_data_rejection,unsupported_method"
#: They end the session that all others need; they have tests of their own.
_ENDS_THE_SESSION = ("logout", "deleteProfile")


async def test_the_gateway_is_as_its_document_says(
    mesh: Mesh, gateway: httpx.AsyncClient, tmp_path: Path
) -> None:
    """Schemathesis: made-up requests, good and bad, to every route; all its checks but three."""
    admin = await sign_up(gateway, "Ada", **WHOLE)
    async with open_operator(mesh.environment()) as operator:
        await operator.accounts.GrantAdmin(accounts_pb2.GrantAdminRequest(email=admin.email))
    login = {"email": admin.email, "password": PASSWORD}
    token = succeeded(await gateway.post("/auth/login", json=login))["token"]
    schemathesis = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("st")),
        *("run", f"{mesh.url}/openapi.json", "--header", f"Authorization: Bearer {token}"),
        *("--exclude-checks", _NOT_CHECKED, "--warnings", "off", "--no-color"),
        *(word for name in _ENDS_THE_SESSION for word in ("--exclude-operation-id", name)),
        *("--max-examples", "12", "--seed", "20261126", "--no-shrink"),
        *("--phases", "examples,coverage,fuzzing", "--request-timeout", "10"),
        # One worker: its generators are not safe beside one another on Python 3.11.
        *("--generation-database", "none", "--workers", "1"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await schemathesis.communicate()
    assert schemathesis.returncode == 0, output.decode()


async def test_the_document_names_every_route_and_its_limits(mesh: Mesh) -> None:
    async with httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http:
        document = succeeded(await http.get("/openapi.json"))
    assert document["openapi"] == "3.1.0"
    paths = document["paths"]
    assert {"get", "put"} <= paths["/api/v1/users/profile"].keys()
    register = paths["/api/v1/auth/register"]["post"]
    assert register["security"] == []
    body = register["requestBody"]["content"]["application/json"]
    assert body["schema"]["required"] == ["email", "password", "name"]
    assert body["schema"]["properties"]["password"]["minLength"] == 10
    assert body["example"]["name"] == "Ana"
    assert paths["/api/v1/heartbeat"]["post"]["security"] == [{"token": []}]
    # What is between services is nobody else's business.
    assert "GrantAdmin" not in str(document)


async def test_the_page_needs_no_other_host(mesh: Mesh) -> None:
    async with httpx.AsyncClient(base_url=mesh.url, trust_env=False) as http:
        page = await http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "grpc-status" not in page.headers
    assert "://" not in page.text.replace("http://www.w3.org", "")
