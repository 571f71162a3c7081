"""ETags, overload: what the gateway adds to an answer, or answers itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from eros.accounts.v1 import accounts_pb2, profile_pb2
from eros.activity.v1 import activity_pb2
from eros_common.errors import RateLimited, Unavailable
from eros_common.ids import new_user_id
from tests.integration.gateway.edge import API, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROFILE = f"{API}/users/profile"


def _profile(name: str) -> accounts_pb2.GetProfileResponse:
    return accounts_pb2.GetProfileResponse(success=True, profile=profile_pb2.Profile(name=name))


async def test_an_unchanged_read_is_not_sent_again(edge: Edge) -> None:
    edge.backends.answers["GetProfile"] = _profile("Ana")
    first = await edge.call("GET", PROFILE)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        answer = await edge.call("GET", PROFILE, headers={"if-none-match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert "content-length" not in answer.headers
    edge.backends.answers["GetProfile"] = _profile("Bea")
    answer = await edge.call("GET", PROFILE, headers={"if-none-match": tag})
    assert answer.status == 200
    assert b"Bea" in answer.body
    assert answer.headers["etag"] != tag


async def test_no_header_cuts_the_access_log_stream(edge: Edge) -> None:
    names = ("if-none-match", "user-agent", "referer", "traceparent", "x-request-id")
    somebody = replace(edge, user=new_user_id())
    for name in names:
        answer = await somebody.call("GET", PROFILE, headers={name: '"\xff"'})
        assert answer.status == 200
    entries = edge.logs.entries
    while [entry.eros["user"] for entry in entries].count(str(somebody.user)) < len(names):
        entries = await edge.logs.have(len(entries) + 1)


async def test_only_reads_that_last_have_a_tag(edge: Edge) -> None:
    for method, path in (("GET", f"{API}/activity/status"), ("POST", f"{API}/heartbeat")):
        answer = await edge.call(method, path, "{}" if method == "POST" else None)
        assert answer.status == 200
        assert "etag" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    edge.backends.answers["GetProfile"] = Unavailable("away")
    assert "etag" not in (await edge.call("GET", PROFILE)).headers


async def test_a_services_own_limit_says_when_to_come_back(edge: Edge) -> None:
    edge.backends.answers["Login"] = RateLimited("too often", retry_after=29.2)
    login = {"email": "a@b.example", "password": "long enough"}
    answer = await edge.call("POST", f"{API}/auth/login", login, signed_in=False)
    assert (answer.status, answer.error["code"]) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"] == "30"
    edge.backends.answers["GetProfile"] = Unavailable("away")
    assert (await edge.call("GET", PROFILE)).headers["retry-after"] == "1"


async def test_under_overload_reads_are_shed_and_heartbeats_are_not(tmp_path: Path) -> None:
    async with open_edge(tmp_path, gateway_max_reads=3) as edge:
        release, waiting = asyncio.Event(), asyncio.Semaphore(0)

        async def slow(_: Any) -> accounts_pb2.GetProfileResponse:
            waiting.release()
            await release.wait()
            return _profile("Ana")

        edge.backends.answers["GetProfile"] = slow
        edge.backends.answers["UpdateProfile"] = accounts_pb2.UpdateProfileResponse(success=True)
        edge.backends.answers["GetStatus"] = activity_pb2.GetStatusResponse()
        inside = [asyncio.create_task(edge.call("GET", PROFILE)) for _ in range(3)]
        for _ in inside:
            await waiting.acquire()
        answers = [await edge.call("GET", PROFILE) for _ in range(30)]
        assert {(shed.status, shed.error["code"]) for shed in answers} == {(503, "UNAVAILABLE")}
        # Who is sent away together does not come back together.
        assert {shed.headers["retry-after"] for shed in answers} == {"1", "2", "3"}
        assert (await edge.call("GET", f"{API}/activity/status")).status == 200
        assert (await edge.call("PUT", PROFILE, {"bio": "x"})).status == 200
        assert (await edge.call("POST", f"{API}/heartbeat", {})).status == 200
        release.set()
        assert {(await task).status for task in inside} == {200}
        assert (await edge.call("GET", PROFILE)).status == 200


async def test_who_hangs_up_is_under_way_no_more(tmp_path: Path) -> None:
    async with open_edge(tmp_path, gateway_max_reads=2) as edge:
        entered = asyncio.Semaphore(0)

        async def never(_: Any) -> accounts_pb2.GetProfileResponse:
            entered.release()
            await asyncio.Event().wait()
            raise AssertionError

        edge.backends.answers["GetProfile"] = never
        async with asyncio.timeout(20):
            for _ in range(3):
                # Both enter again each time, though nobody was ever answered.
                inside = [await _enter(edge, entered) for _ in range(2)]
                assert (await edge.call("GET", PROFILE)).status == 503
                for writer in inside:
                    writer.transport.abort()


async def test_who_never_ends_a_request_is_not_under_way(tmp_path: Path) -> None:
    async with open_edge(tmp_path, gateway_max_reads=2) as edge:
        edge.backends.answers["GetProfile"] = _profile("Ana")
        head = f"GET {PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {edge.token()}\r\n"
        begun = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(4)]
        for _, writer in begun:
            writer.write(f"{head}content-length: 1\r\n\r\n".encode())
            await writer.drain()
        # Envoy has but one thread here, which has read those before the last of these.
        assert {(await edge.call("GET", PROFILE)).status for _ in range(20)} == {200}
        for _, writer in begun:
            writer.transport.abort()


async def test_who_never_ends_anything_else_is_not_under_way(tmp_path: Path) -> None:
    """With a body or without one, by REST or by gRPC."""
    async with open_edge(tmp_path, gateway_max_requests=2) as edge, edge.channel() as channel:
        edge.backends.answers["UpdateProfile"] = accounts_pb2.UpdateProfileResponse(success=True)
        edge.backends.answers["DeleteProfile"] = accounts_pb2.DeleteProfileResponse(success=True)
        begun = []
        for verb in ("PUT", "DELETE"):
            head = f"{verb} {PROFILE} HTTP/1.1\r\nhost: x\r\n"
            for _ in range(4):
                _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
                token = f"authorization: Bearer {edge.token()}\r\n"
                writer.write(f"{head}{token}content-length: 20\r\n\r\n{{".encode())
                await writer.drain()
                begun.append(writer)
        update: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            "/eros.accounts.v1.AccountsService/UpdateProfile"
        )
        calls = [update(metadata=tuple(edge.bearer().items())) for _ in range(4)]
        for call in calls:
            await call.write(b"")
        for verb in ("PUT", "DELETE") * 10:
            body = {"bio": "x"} if verb == "PUT" else None
            assert (await edge.call(verb, PROFILE, body)).status == 200
        for writer in begun:
            writer.transport.abort()
        for call in calls:
            call.cancel()


async def _enter(edge: Edge, entered: asyncio.Semaphore) -> asyncio.StreamWriter:
    """Asks until it is let in, which takes until Envoy has noticed that others hung up."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        head = f"GET {PROFILE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {edge.token()}\r\n\r\n"
        writer.write(head.encode())
        tasks = asyncio.create_task(entered.acquire()), asyncio.create_task(reader.read(1))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[1].cancel()
            return writer
        tasks[0].cancel()
        writer.close()
