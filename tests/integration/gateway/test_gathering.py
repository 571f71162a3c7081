"""Signs of life that the gateway sends together: none is left behind, and a lost one is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from eros.activity.v1 import activity_pb2 as pb
from eros_common.ids import UserId, new_user_id
from eros_gateway import render
from tests.integration.gateway.edge import API, Edge, open_edge

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEARTBEAT = f"{API}/heartbeat"
IN_USE = '{"appActive":true,"screenOn":true}'
#: Longer than the gateway holds anything that it does not send again.
HELD_MS = 45


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    async with open_edge(tmp_path_factory.mktemp("edge"), gateway_gather_per_second=10) as edge:
        yield edge


@pytest_asyncio.fixture(loop_scope="module")
async def small_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    """One that gathers now, and holds five at most."""
    read = render._resource

    def few(name: str) -> str:
        text = read(name)
        assert name != "lua/gather.lua" or text.count("MOST_HELD = 5000") == 1
        return text.replace("MOST_HELD = 5000", "MOST_HELD = 5")

    monkeypatch.setattr(render, "_resource", few)
    async with open_edge(tmp_path, gateway_gather_per_second=10) as edge:
        await gathers(edge)
        yield edge
        edge.logs.writing.set()


@pytest_asyncio.fixture(loop_scope="module")
async def edge(_edge: Edge) -> AsyncIterator[Edge]:
    """One that gathers now."""
    _edge.backends.reset()
    _edge.logs.signs_refused = False
    await gathers(_edge)
    _edge.logs.signs.clear()
    yield _edge
    _edge.logs.signs_refused = False
    _edge.logs.writing.set()


class Phone:
    """One person's, with an open connection."""

    def __init__(self, edge: Edge, session: str = "s") -> None:
        self.user: UserId = new_user_id()
        self.edge = edge
        self.headers = edge.bearer(edge.backends.tokens.user_token(self.user, session_id=session))

    async def beat(self, times: int = 1) -> list[int]:
        """When they arrived, as the answers say, in milliseconds."""
        arrived: list[int] = []
        for _ in range(times):
            answer = await self.edge.call("POST", HEARTBEAT, IN_USE, headers=self.headers)
            assert answer.status == 200
            told = datetime.fromisoformat(json.loads(answer.body)["timestamp"])
            arrived.append(round(told.timestamp() * 1000))
        return arrived

    async def begin(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Sends a heartbeat and leaves the answer to whoever wants it."""
        lines = (
            f"POST {HEARTBEAT} HTTP/1.1",
            "host: x",
            f"authorization: {self.headers['authorization']}",
            "content-type: application/json",
            f"content-length: {len(IN_USE)}",
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.edge.port)
        writer.write(("\r\n".join((*lines, "", "")) + IN_USE).encode())
        await writer.drain()
        return reader, writer

    @property
    def streamed(self) -> list[dict[str, Any]]:
        return [e.eros for e in self.edge.logs.entries if e.eros["user"] == str(self.user)]

    @property
    def gathered(self) -> list[int]:
        """When, in milliseconds."""
        return [at for user, at, _ in self.edge.logs.signs if user == str(self.user)]

    @property
    def arrived(self) -> int:
        return len(self.streamed) + len(self.gathered)


def _missing(edge: Edge) -> set[int]:
    """Numbers of the stream that nobody ever got, among those that came."""
    numbers = {int(entry.eros["seq"]) for entry in edge.logs.entries if "seq" in entry.eros}
    return {*range(min(numbers), max(numbers))} - numbers if numbers else set()


async def gathers(edge: Edge) -> None:
    """Until there is so much to do that it pays."""
    phone = Phone(edge)
    async with asyncio.timeout(10):
        while not phone.gathered:
            await phone.beat()


async def test_each_arrives_once(edge: Edge) -> None:
    phones = [Phone(edge, f"s{number}") for number in range(4)]
    began = time.time() * 1000
    await asyncio.gather(*(phone.beat(50) for phone in phones))
    await edge.logs.until(lambda: all(phone.arrived >= 50 for phone in phones))
    assert [phone.arrived for phone in phones] == [50] * 4
    for number, phone in enumerate(phones):
        # The first may have woken somebody: it did not wait.
        assert phone.streamed[0]["session"] == f"s{number}"
        assert phone.gathered == sorted(phone.gathered)
        assert began - 1 <= phone.gathered[0]
        assert phone.gathered[-1] <= time.time() * 1000
    assert {session for _, _, session in edge.logs.signs} >= {"s0", "s1", "s2", "s3"}
    assert edge.logs.batches < len(edge.logs.signs)


async def test_numbers_of_the_stream_have_no_holes(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(30)
    await edge.call("POST", HEARTBEAT, "{}", headers=phone.headers)
    await edge.logs.until(lambda: phone.arrived >= 31)
    assert not _missing(edge)


async def test_nothing_stays_where_nobody_comes_after(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(20)
    # No request any more.
    await edge.logs.until(lambda: phone.arrived >= 20)


async def test_whoever_waits_for_the_clock_waits_as_long_as_it_holds(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(3)
    known, began = len(phone.gathered), time.monotonic()
    await phone.beat(10)
    took = time.monotonic() - began
    # Each has the thread for itself: it is answered when it was sent.
    assert took >= 0.029 * (len(phone.gathered) - known)


async def test_a_read_that_nobody_follows_leaves_nothing_behind(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(3)
    for _ in range(20):
        await edge.call("GET", f"{API}/matches/daily", headers=phone.headers)
    # No request any more.
    await edge.logs.until(lambda: phone.arrived >= 3 + 20)


async def test_who_hangs_up_while_waiting_is_not_forgotten(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(3)
    for _ in range(5):
        _, writer = await phone.begin()
        await asyncio.sleep(0.005)
        writer.transport.abort()
    # Somebody else comes by.
    other = Phone(edge)
    await asyncio.sleep(HELD_MS / 1000)
    await other.beat()
    await edge.logs.until(lambda: phone.arrived >= 3 + 1)


async def test_who_hangs_up_while_sending_makes_no_loss(edge: Edge) -> None:
    phone, other = Phone(edge), Phone(edge)
    await phone.beat(3)
    await edge.logs.until(lambda: phone.arrived >= 3)
    edge.logs.entries.clear()
    edge.logs.signs.clear()
    edge.logs.writing.clear()
    # After 0.3 s whoever comes next sends them again: the third time they are too old for a fault.
    for who in (phone, other, other, other):
        await _hang_up_while_sending(who)
    edge.logs.writing.set()
    async with asyncio.timeout(10):
        while not phone.arrived:
            await other.beat()
    await other.beat()
    assert not _missing(edge)


async def _hang_up_while_sending(phone: Phone) -> None:
    """Comes until it is the one that sends, and goes."""
    logs = phone.edge.logs
    before = logs.signs_came
    while logs.signs_came == before:
        reader, writer = await phone.begin()
        waiting = [
            asyncio.create_task(reader.read(1)),
            asyncio.create_task(logs.until(lambda: logs.signs_came > before)),
        ]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        writer.transport.abort()


async def test_what_came_while_others_were_sent_is_sent_behind_them(edge: Edge) -> None:
    first, second = Phone(edge), Phone(edge)
    # A gateway that had to wait too long for the first, on a busy machine, holds both again.
    for _ in range(5):
        if await _comes_behind(first, second):
            return
    pytest.fail("what came meanwhile stays where it is")


async def _comes_behind(first: Phone, second: Phone) -> bool:
    """Whether the second's arrives, with no request any more, though it could not be sent."""
    logs = first.edge.logs
    await first.beat(3)
    await second.beat(3)
    logs.writing.clear()
    before = logs.signs_came
    sending = asyncio.create_task(_beat_until_sent(first, before))
    await logs.until(lambda: logs.signs_came > before)
    known = second.arrived
    # It waits for the clock, and cannot send: the first's is still on its way.
    await second.beat()
    logs.writing.set()
    await sending
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await logs.until(lambda: second.arrived > known)
    return second.arrived > known


async def _beat_until_sent(phone: Phone, before: int) -> None:
    # Now and then one goes by the stream.
    while phone.edge.logs.signs_came == before:
        await phone.beat()


@pytest.mark.parametrize("ask", ["GET /activity/status", "POST /heartbeat"])
async def test_asking_how_long_one_was_idle_sends_first(edge: Edge, ask: str) -> None:
    phone, other = Phone(edge), Phone(edge)
    known: list[set[int]] = []

    async def answer(_: object) -> Message:
        known.append(set(phone.gathered))
        return pb.GetStatusResponse() if ask.startswith("GET") else pb.HeartbeatResponse()

    edge.backends.answers |= {"GetStatus": answer, "Heartbeat": answer}
    # Somebody else waits for the clock, so that this one's are held when the question comes.
    meanwhile = asyncio.create_task(other.beat(40))
    method, path = ask.split()
    body = '{"appActive":false,"screenOn":true}' if method == "POST" else None
    beats: list[int] = []
    for _ in range(20):
        beats += await phone.beat()
        await edge.call(method, API + path, body, headers=phone.headers)
    await meanwhile
    gathered = {*phone.gathered}
    assert gathered
    late = [beat for beat, then in zip(beats, known, strict=True) if beat in gathered - then]
    assert not late


async def test_what_cannot_be_sent_goes_by_the_stream_and_is_told(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(3)
    edge.logs.signs_refused = True

    async with asyncio.timeout(10):
        while not _missing(edge):
            await phone.beat()
    # Not for ever: what is refused once is not held for a while, and then it works again.
    edge.logs.signs_refused = False
    edge.logs.entries.clear()
    await gathers(edge)
    assert not _missing(edge)


async def test_what_was_refused_for_a_moment_comes_later(edge: Edge) -> None:
    phone = Phone(edge)
    await phone.beat(3)
    edge.logs.signs_refused = True
    await phone.beat(5)
    edge.logs.signs_refused = False
    await phone.beat()
    await edge.logs.until(lambda: phone.arrived >= 9)
    assert phone.arrived == 9


async def test_an_ended_session_makes_nobody_one_of_those_who_are_awake(edge: Edge) -> None:
    phone, other = Phone(edge, "ended"), Phone(edge)
    await phone.beat(3)
    await edge.logs.until(lambda: phone.arrived >= 3)
    edge.logs.ended.append("ended")
    edge.logs.asked.clear()
    async with asyncio.timeout(10):
        while not edge.logs.asked:
            await other.beat()
    known = len(phone.gathered)
    assert known
    for _ in range(5):
        await edge.call("GET", f"{API}/matches/daily", headers=phone.headers)
    # This backend refuses nobody, so there is something to wait for.
    await edge.logs.until(lambda: len(phone.streamed) + known >= 3 + 5)
    assert len(phone.gathered) == known


async def test_no_more_are_held_than_one_message_takes(small_edge: Edge) -> None:
    logs, sender = small_edge.logs, Phone(small_edge)
    phones = [Phone(small_edge) for _ in range(12)]
    for phone in (sender, *phones):
        await phone.beat()
    logs.writing.clear()
    sending = asyncio.create_task(_beat_until_sent(sender, logs.signs_came))
    before = logs.signs_came
    await logs.until(lambda: logs.signs_came > before)
    # Meanwhile nothing is sent, and the sixth and all behind it go by the stream.
    await asyncio.gather(*(phone.beat() for phone in phones))
    logs.writing.set()
    await sending
    async with asyncio.timeout(10):
        # What had to wait for too long is sent again by whoever comes next.
        while not all(phone.arrived >= 2 for phone in phones):
            await sender.beat()
    assert sum(len(phone.gathered) for phone in phones) <= 5
