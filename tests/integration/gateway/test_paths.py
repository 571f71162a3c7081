"""Only what the contract names is reached, however a path is written."""

from __future__ import annotations

import pytest

from tests.integration.gateway.edge import API, Edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACTIVITY = "/eros.activity.v1.ActivityService"

NOT_FOUND = [
    "/",
    "/api",
    "/api/v1",
    f"{API}/nothing",
    f"/{API}/users/profile",
    f"{API}//users/profile",
    f"{API}/users/profile/",
    f"{API}/users//profile",
    f"{API}/./users/profile",
    f"{API}/x/../users/profile",
    f"{API}/users/../profile",
    f"{API}/users/./profile",
    f"{API}/users/%2e%2e/profile",
    f"{API}/users/..;/profile",
    f"{API}/users/profile;admin=1",
    f"{API}/users/a;b/profile",
    f"{API}/users/%00/profile",
    f"{API}/users/a\\b/profile",
    f"{API}/%75sers/profile",
    "/API/V1/users/profile",
    f"{API}/users/Profile",
    f"{API}/activity/stats/../../users/profile",
    "/.well-known/../api/v1/users/profile",
    # Native gRPC paths, asked for as if they were REST.
    f"{ACTIVITY}/Heartbeat",
    f"{ACTIVITY}/Touch",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/ready",
    "/stats",
]


@pytest.mark.parametrize("path", NOT_FOUND)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_every_other_way_to_write_it_is_not_found(edge: Edge, method: str, path: str) -> None:
    body = "{}" if method == "POST" else None
    answer = await edge.call(method, path, body)
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")
    assert edge.backends.calls == []


@pytest.mark.parametrize("path", [f"{API}%2fusers%2fprofile", f"{API}/users/a%2Fb/profile"])
@pytest.mark.parametrize("slash", ["%2f", "%5c", "%5C"])
async def test_encoded_slashes_are_refused(edge: Edge, path: str, slash: str) -> None:
    answer = await edge.call("GET", path.replace("%2f", slash).replace("%2F", slash))
    assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
    assert edge.backends.calls == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", f"{API}/users/profile", "DELETE, GET, PUT"),
        ("POST", f"{API}/users/profile", "DELETE, GET, PUT"),
        ("GET", f"{API}/auth/login", "POST"),
        ("PATCH", f"{API}/heartbeat", "POST"),
        ("HEAD", f"{API}/matches/daily", "GET"),
        ("OPTIONS", f"{API}/matches/daily", "GET"),
        ("PUT", f"{API}/matches/daily/2026-01-01", "GET"),
        ("GET", f"{API}/matches/abc/action", "POST"),
    ],
)
async def test_a_known_path_with_another_method_says_what_it_takes(
    edge: Edge, method: str, path: str, allow: str
) -> None:
    for signed_in in (True, False):
        answer = await edge.call(method, path, signed_in=signed_in)
        assert (answer.status, answer.headers["allow"]) == (405, allow)
        if method != "HEAD":
            assert answer.error["code"] == "METHOD_NOT_ALLOWED"
            assert allow in answer.error["message"]
    assert edge.backends.calls == []


async def test_what_the_client_fills_in_reaches_the_service(edge: Edge) -> None:
    """And is judged there: these are no UUIDs and no date."""
    for path, field in (
        (f"{API}/users/me/profile", "userId"),
        (f"{API}/matches/daily/2026-13-45", "date"),
        (f"{API}/matches/daily/24.11.2026", "date"),
    ):
        answer = await edge.call("GET", path)
        assert (answer.status, answer.error["code"]) == (400, "INVALID_ARGUMENT")
        assert [detail["field"] for detail in answer.error["details"]] == [field]
    other = "22222222-2222-4222-8222-222222222222"
    assert (await edge.call("GET", f"{API}/users/{other}/profile")).status == 200
    (call,) = edge.backends.calls
    assert call.request.user_id == other


@pytest.mark.parametrize(
    "path", ["/nothing", "/eros.activity.v1.ActivityService/Heartbeat", f"{API}/heartbeat"]
)
@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web-text+proto"])
async def test_grpc_web_is_refused_in_words(edge: Edge, path: str, kind: str) -> None:
    answer = await edge.call("POST", path, b"\0\0\0\0\0", headers={"content-type": kind})
    # To a REST path it is a body that is no JSON.
    status, code = (400, "INVALID_ARGUMENT") if path.startswith(API) else (404, "NOT_FOUND")
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    assert edge.backends.calls == []
