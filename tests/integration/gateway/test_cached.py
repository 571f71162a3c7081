"""Reads that a service's read port answers: to the caller no difference."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from eros.matcher.v1 import matcher_pb2 as pb
from eros_common.ids import UserId
from eros_common.logging import request_id
from eros_common.shortcut import ReadPort
from eros_common.shortcut.printing import printer
from eros_gateway import render
from tests.integration.gateway.backends import Backends
from tests.integration.gateway.edge import API, Answer, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")
DAILY, BEYOND = f"{API}/matches/daily", f"{API}/matches/recommendations"
METHODS = "/eros.matcher.v1.MatcherService"
OWN_HEADERS = {"date", "x-request-id", "x-envoy-upstream-service-time", "etag", "content-length"}
MATCH = pb.Match(match_id="m", name='Zoë "🦔"', age=30, score=0.25, reasons=["both hike"])
PRINT = printer(pb.GetDailyMatchesResponse.DESCRIPTOR)
PRINT_BEYOND = printer(pb.ListRecommendationsResponse.DESCRIPTOR)
ANSWER = pb.GetDailyMatchesResponse(
    success=True, matches=[MATCH], source="cache", date="2026-11-24"
)


@dataclass(slots=True)
class Cache:
    """What is in the cache, who asked, and whose sessions have ended."""

    daily: pb.GetDailyMatchesResponse | None = None
    fault: Exception | None = None
    asked: list[tuple[UserId, str]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    async def get(self, user: UserId, query: str) -> bytes | None:
        self.asked.append((user, query))
        self.requests.append(request_id.get())
        if self.fault is not None:
            raise self.fault
        return None if self.daily is None else PRINT(self.daily)

    async def beyond(self, user: UserId, query: str) -> bytes | None:
        self.asked.append((user, query))
        return PRINT_BEYOND(pb.ListRecommendationsResponse(success=True, count=7))


@dataclass(slots=True)
class Place:
    edge: Edge
    cache: Cache
    port: ReadPort

    async def daily(self, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.edge.call("GET", DAILY, headers=sent)

    @property
    def calls(self) -> list[str]:
        return [call.method for call in self.edge.backends.calls]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    cache, backends = Cache(), Backends()
    reads = {
        f"{METHODS}/GetDailyMatches": cache.get,
        f"{METHODS}/ListRecommendations": cache.beyond,
    }
    port = ReadPort("127.0.0.1:0", reads, backends.tokens.auth(revoked=cache.ended))
    await port.start()
    await port.serving()
    async with (
        backends.running(),
        open_edge(
            tmp_path_factory.mktemp("cached"),
            backends,
            matcher_reads_address=f"127.0.0.1:{port.port}",
        ) as edge,
    ):
        yield Place(edge, cache, port)
    await port.stop(0)


@pytest.fixture
def place(_place: Place) -> Place:
    _place.edge.backends.reset()
    _place.edge.backends.answers["GetDailyMatches"] = ANSWER
    _place.cache.daily, _place.cache.fault = None, None
    _place.cache.asked.clear()
    _place.cache.requests.clear()
    _place.cache.ended.clear()
    return _place


async def test_a_hit_is_the_same_answer_without_a_call(place: Place) -> None:
    called = await place.daily()
    assert place.calls == ["GetDailyMatches"]
    place.cache.daily = ANSWER
    cached = await place.daily()
    assert place.calls == ["GetDailyMatches"]
    assert json.loads(cached.body) == json.loads(called.body)
    for answer in (cached, called):
        assert answer.status == 200
        assert answer.headers["etag"].startswith('W/"')
        assert len(answer.body) == int(answer.headers["content-length"])
    told = [{k: v for k, v in a.headers.items() if k not in OWN_HEADERS} for a in (cached, called)]
    assert told[0] == told[1]
    assert place.cache.asked == [(place.edge.user, "")] * 2
    assert place.cache.requests == [a.headers["x-request-id"] for a in (called, cached)]


@pytest.mark.parametrize("kind", ["numbers", "texts"])
async def test_both_ways_print_it_byte_by_byte_the_same(place: Place, kind: str) -> None:
    """So that whoever was answered one way keeps the answer when asked the other way."""
    drawn: list[pb.Match] = []

    @settings(max_examples=200, database=None)
    @given(st.floats(allow_nan=False, allow_infinity=False), st.text())
    def draw(number: float, text: str) -> None:
        # A score is a single-precision number in a double.
        single = struct.unpack("f", struct.pack("f", number % 1))[0]
        numbers = pb.Match(score=number, distance_km=single)
        drawn.append(numbers if kind == "numbers" else pb.Match(name=text, reasons=[text]))

    await asyncio.to_thread(draw)
    if kind == "texts":
        # Every character of the first plane, and the invisible ones of others.
        plane = [*range(1, 0xD800), *range(0xE000, 0x10000)]
        far = [*range(0x1D170, 0x1D180), *range(0xE0000, 0xE0090), 0x10FFFF]
        everything = "".join(map(chr, plane + far))
        drawn += [pb.Match(name=everything[at : at + 4000]) for at in range(0, 0x11000, 4000)]
    answer = pb.GetDailyMatchesResponse(success=True, matches=drawn, source="cache")
    place.edge.backends.answers["GetDailyMatches"] = answer
    called = await place.daily()
    assert called.status == 200
    place.cache.daily = answer
    cached = await place.daily()
    assert (cached.status, place.calls) == (200, ["GetDailyMatches"])
    one, other = called.body.split(b'},{"matchId"'), cached.body.split(b'},{"matchId"')
    assert [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]] == []
    assert called.headers["etag"] == cached.headers["etag"]


async def test_an_unchanged_hit_is_not_sent_again(place: Place) -> None:
    place.cache.daily = ANSWER
    tag = (await place.daily()).headers["etag"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = await place.daily(if_none_match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert (await place.daily(if_none_match='"other"')).status == 200
    assert place.calls == []


async def test_whatever_is_no_hit_is_called_for(place: Place) -> None:
    assert (await place.daily()).status == 200
    place.cache.daily, place.cache.fault = ANSWER, RuntimeError("on purpose")
    assert (await place.daily()).status == 200
    place.cache.fault = None
    await place.port.not_serving()
    assert (await place.daily()).status == 200
    await place.port.serving()
    assert place.calls == ["GetDailyMatches"] * 3


async def test_an_ended_session_is_refused_though_the_answer_is_cached(place: Place) -> None:
    place.cache.daily = ANSWER
    token = place.edge.token(sid="ended")
    assert (await place.daily(authorization=f"Bearer {token}")).status == 200
    place.cache.ended.add("ended")
    await place.daily(authorization=f"Bearer {token}")
    # Only the service can say so; this one, played, believes everybody.
    assert place.calls == ["GetDailyMatches"]


async def test_the_query_goes_along(place: Place) -> None:
    answer = await place.edge.call("GET", f"{BEYOND}?limit=7")
    assert json.loads(answer.body)["count"] == 7
    assert place.cache.asked == [(place.edge.user, "limit=7")]
    assert place.calls == []


async def test_a_hit_is_a_sign_of_life(place: Place) -> None:
    place.cache.daily = ANSWER
    somebody = UserId(uuid4())
    token = place.edge.backends.tokens.user_token(somebody)
    await place.daily(authorization=f"Bearer {token}")
    entries = place.edge.logs.entries
    while not (found := [e.eros for e in entries if e.eros["user"] == str(somebody)]):
        entries = await place.edge.logs.have(len(entries) + 1)
    assert found[0]["seq"] > 0
    assert "session" not in found[0]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.0\r\n\r\n",
        b"GET /x HTTP/1.1\r\ncontent-length: 2\r\n\r\n",
        b"GET /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET /" + b"x" * 40_000,
    ],
)
async def test_what_no_gateway_sends_is_refused(place: Place, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port.port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_who_is_not_known_finds_nothing(place: Place) -> None:
    place.cache.daily = ANSWER
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port.port)
    for head in (b"", b"authorization: Bearer x\r\n", b"authorization: Bearer \xff\r\n"):
        writer.write(b"GET /eros.matcher.v1.MatcherService/GetDailyMatches HTTP/1.1\r\n")
        writer.write(head + b"\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 ")
    writer.close()
    assert place.cache.asked == []


async def test_without_a_read_port_every_read_is_a_call(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        edge.backends.answers["GetDailyMatches"] = ANSWER
        answer = await edge.call("GET", DAILY)
        assert (answer.status, json.loads(answer.body)["source"]) == (200, "cache")


async def test_of_reads_that_nobody_waits_for_any_more_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script is not told of who hangs up, and a gateway lives for months."""
    read, told = render._resource, '["etag"] = found["etag"]'

    def telling(name: str) -> str:
        text = read(name)
        if name == "lua/cached.lua":
            assert text.count(told) == 1
            count = (
                "(function() local n = 0 for _ in pairs(under_way) do n = n + 1 end return n end)"
            )
            return text.replace(told, f'{told}, ["x-under-way"] = tostring({count}())')
        return text.replace("READ_MS = 300", "READ_MS = 1")

    monkeypatch.setattr(render, "_resource", telling)
    backends, came, left = Backends(), asyncio.Event(), asyncio.Event()
    waits = True

    async def daily(_user: UserId, _query: str) -> bytes:
        came.set()
        try:
            while waits:
                await asyncio.sleep(60)
        finally:
            left.set()
        return PRINT(ANSWER)

    reads = {f"{METHODS}/GetDailyMatches": daily}
    port = ReadPort("127.0.0.1:0", reads, backends.tokens.auth())
    await port.start()
    await port.serving()
    where = f"127.0.0.1:{port.port}"
    async with (
        backends.running(),
        open_edge(tmp_path, backends, matcher_reads_address=where) as edge,
    ):
        head = "\r\n".join(f"{name}: {value}" for name, value in edge.bearer().items())
        for _ in range(20):
            came.clear()
            left.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(f"GET {DAILY} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n".encode())
            await came.wait()
            writer.transport.abort()
            await left.wait()
        waits = False
        async with asyncio.timeout(10):
            while (await edge.call("GET", DAILY)).headers["x-under-way"] != "0":
                await asyncio.sleep(0.01)
    await port.stop(0)
