"""The activity service dies, stands still and is drained while people say that they are awake, and
Envoy does with signs of life in its hands that it was about to send together: for every sign of
life that was lost, nobody's work ran on beyond the bound."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast
from uuid import UUID

import asyncpg
import httpx
import pytest

from bench._phones import Tokens
from eros.accounts.v1 import accounts_pb2
from eros_activity.shards import PAUSES
from eros_cli.mesh.clean import clean_environment
from eros_cli.mesh.gateway import gateway_of
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import EVERYTHING, MeshOptions, NightClock, Part
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId, new_user_id
from eros_common.redis import Valkey, open_redis

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CITY = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
PEOPLE = 150
#: One heartbeat interval. Watching that is silent for SILENCE is blind, an entry that is missing
#: for REORDER is lost; what was begun is off the worker HALT later. The rest is for the machine.
INTERVAL, SILENCE, REORDER, HALT, ROOM = 3.0, 1.0, 0.5, 0.5, 1.0
BOUND = SILENCE + HALT + ROOM
#: Longer than the bound.
FROZEN = 3.0
SETTINGS = {
    "EROS_RATE_PER_SECOND": "0",
    "EROS_GATEWAY_GATHER_PER_SECOND": "20",
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": f"{INTERVAL}",
    "EROS_STREAM_SILENCE_SECONDS": f"{SILENCE}",
    "EROS_ALS_REORDER_SECONDS": f"{REORDER}",
    "EROS_TICK_SECONDS": "0.2",
    # So slow that there is always work in a worker's hands.
    "EROS_CPU_CAP_PHASE1": "0.05",
    "EROS_CPU_CAP_PHASE2": "0.05",
    "EROS_CPU_CAP_PHASE3": "0.03",
    "EROS_LEARN_ASLEEP_SHARE": "1",
}
BEATS_PER_SECOND, MANY_BEATS_PER_SECOND = 150, 2000
#: A thread holds an answered heartbeat while another connection of its waits for the clock: of so
#: many connections, at least two have the same thread.
CONNECTIONS = 6
#: So many people of one connection are between their first and their second heartbeat.
BETWEEN = 20
#: An instant is told in whole milliseconds, and kept so.
EXACT = 0.002
GENEROUS_SECONDS = 40.0
_UNREAD = re.compile("nobody reads the access log of gateway ")
BODY = b'{"appActive":true,"screenOn":true}'
LEASED = 1
_AUDIT = "SELECT at, event, kind, users, tokens FROM scheduler.audit WHERE event <= 6 ORDER BY at"
_LEASES = "SELECT count(*) FROM scheduler.jobs WHERE lease_until IS NOT NULL"


@dataclass(slots=True)
class Beats:
    """Heartbeats that Envoy answered: who, and when the last one arrived (wall). Everybody sends
    two: the first may have woken somebody and goes by the stream, the second is gathered."""

    mesh: Mesh
    began: float
    answered: dict[UserId, float] = field(default_factory=dict)
    second: set[UserId] = field(default_factory=set)
    per_second: float = BEATS_PER_SECOND

    @asynccontextmanager
    async def sent(self) -> AsyncIterator[None]:
        """Until the block ends."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send()) for _ in range(CONNECTIONS)]
            yield
            for task in tasks:
                task.cancel()

    async def _send(self) -> None:
        while True:
            # Envoy is away for a moment where it was killed.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._send_by_one_connection()
            await asyncio.sleep(0.02)

    async def _send_by_one_connection(self) -> None:
        tokens = Tokens(self.mesh)
        host, _, port = self.mesh.url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        once: deque[tuple[UserId, str]] = deque()
        try:
            while True:
                if is_first := len(once) < BETWEEN:
                    user = new_user_id()
                    token = tokens.of(user)
                    once.append((user, token))
                else:
                    user, token = once.popleft()
                writer.write(_request(host, token))
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                if head.startswith(b"HTTP/1.1 200 "):
                    told = datetime.fromisoformat(json.loads(body)["timestamp"])
                    self.answered[user] = told.timestamp()
                    if not is_first:
                        self.second.add(user)
                await asyncio.sleep(CONNECTIONS / self.per_second)
        finally:
            writer.close()

    async def lost(self, since: float, until: float) -> list[float]:
        """When those were answered of whom the activity service does not know it."""
        await asyncio.sleep(REORDER)  # some are still on their way
        unknown = await self.unknown()
        return [at for user in unknown if since <= (at := self.answered[user]) <= until]

    async def unknown(self) -> set[UserId]:
        """Of whose last heartbeat the activity service does not know now."""
        answered = dict(self.answered)
        seen: dict[bytes, float] = {}
        async with self._valkey() as redis:
            async for name in redis.scan_iter("activity:*:people"):
                known = await redis.zrange(name, 0, -1, withscores=True)
                seen.update(cast("list[tuple[bytes, float]]", known))
        night = START.timestamp() - self.began
        return {
            user for user, at in answered.items() if seen.get(user.bytes, 0.0) < at + night - EXACT
        }

    async def pauses(self, since: float) -> list[str]:
        """Why there were pauses since then (wall)."""
        async with self._valkey() as redis:
            found = await cast("Any", redis.xrange(PAUSES, min=round(since * 1000)))
        return [fields[b"reason"].decode() for _, fields in found]

    def _valkey(self) -> AbstractAsyncContextManager[Valkey]:
        return open_redis(self.mesh.environment()["ACTIVITY_REDIS_URL"], app="test")

    async def gathered(self) -> int:
        """How often the gateway waited for its clock in order to send some together."""
        socket = gateway_of(self.mesh.data).admin_socket
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://envoy"
        ) as admin:
            answer = await admin.get("/stats", params={"filter": "cluster.clock.upstream_rq_total"})
        return int(answer.raise_for_status().text.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Blind:
    """A mesh at work on people who sleep, while others say that they are awake."""

    mesh: Mesh
    database: asyncpg.Pool
    beats: Beats

    async def until_at_work(self) -> None:
        async with asyncio.timeout(GENEROUS_SECONDS):
            while not await self.database.fetchval(_LEASES):
                await asyncio.sleep(0.05)

    async def worked(self) -> list[tuple[float, float]]:
        """When (wall) somebody's work was in a worker's hands: from the lease to its end."""
        held: dict[tuple[int, UUID, int], float] = {}
        found: list[tuple[float, float]] = []
        for row in await self.database.fetch(_AUDIT):
            at = row["at"].timestamp()
            for user, token in zip(row["users"], row["tokens"], strict=True):
                job = (row["kind"], user, token)
                if row["event"] == LEASED:
                    held[job] = at
                elif job in held:
                    found.append((held.pop(job), at))
        return found + [(at, time.time()) for at in held.values()]

    async def after(self, fault: Callable[[], Awaitable[None]]) -> list[float]:
        """Lets something happen in the middle of everything; waits until the pause that it must
        cause is over; the instants of the heartbeats that were lost."""
        await self.until_at_work()
        began = time.time()
        await fault()
        # The last that may be lost: from here on the log is read again.
        await asyncio.sleep(SILENCE)
        lost = await self.beats.lost(began, time.time())
        if lost:
            first, last = min(lost), max(lost)
            await asyncio.sleep(max(0.0, last + INTERVAL - time.time()))
            spans = [(a, b) for a, b in await self.worked() if a < last + INTERVAL]
            running_on = [(a, b) for a, b in spans if b > first + BOUND]
            assert not running_on, (first, last, running_on)
        await self.assert_at_work(began)
        return lost

    async def assert_at_work(self, at: float) -> None:
        """Nobody's work ran on: but not because there was none. (Exactly then there may be none,
        between two batches; and a sign of life may be lost late, when all has stopped already.)"""
        spans = await self.worked()
        assert any(a < at + SILENCE and b > at - ROOM for a, b in spans), (at, spans)


@pytest.fixture(scope="module")
async def blind() -> AsyncIterator[Blind]:
    options = MeshOptions(
        parts=EVERYTHING - {Part.ASSISTANT},
        workers=1,
        environment=clean_environment(),
        settings=SETTINGS,
        night=NightClock(START, began := datetime.now(UTC)),
        durable=False,
    )
    async with Mesh(options) as mesh, open_operator(mesh.environment()) as operator:
        people = (
            accounts_pb2.ImportedAccount(
                external_id=str(number), profile=demo.profile(Random(f"blind/{number}"), CITY)
            )
            for number in range(PEOPLE)
        )
        loaded = await load_people(operator.accounts, "blind", people)
        await touch(operator.activity, dict.fromkeys(loaded.zones, START - timedelta(hours=2)))
        url = mesh.environment()["DATABASE_URL"]
        beats = Beats(mesh, began.timestamp())
        async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool, beats.sent():
            yield Blind(mesh, pool, beats)


@pytest.fixture
def many_beats(blind: Blind) -> Iterator[None]:
    """So many that some are always on their way, and in the hands of Envoy's threads."""
    blind.beats.per_second = MANY_BEATS_PER_SECOND
    yield
    blind.beats.per_second = BEATS_PER_SECOND


@pytest.mark.usefixtures("many_beats")
async def test_killed(blind: Blind) -> None:
    async def killed() -> None:
        await blind.mesh.kill("activity")
        await asyncio.sleep(0.1)
        await blind.mesh.until_serving("activity")

    # What was on its way to the dead is lost, and Envoy does not say so.
    assert await blind.after(killed)


async def test_frozen(blind: Blind) -> None:
    process = blind.mesh.pid("activity")
    began = 0.0

    async def frozen() -> None:
        nonlocal began
        began = time.time()
        _signal(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(2)
        finally:
            _signal(process, signal.SIGCONT)

    await blind.after(frozen)
    # Whether or not anything was lost, for so long nobody could know who is awake.
    worked = await blind.worked()
    assert not [(a, b) for a, b in worked if a < began + 2 and b > began + BOUND]


@pytest.mark.usefixtures("many_beats")
async def test_drained(blind: Blind) -> None:
    # When it ends, and while nobody is there.
    assert await blind.after(lambda: blind.mesh.restart("activity"))
    # All of this was of heartbeats that are sent together, too.
    assert await blind.beats.gathered()


async def _freeze_with_some_in_hand(blind: Blind) -> set[UserId]:
    """Stops Envoy at a moment at which it holds heartbeats that it has answered and not sent yet;
    whose."""
    envoy = blind.mesh.pid("envoy")
    for _ in range(20):
        await asyncio.sleep(0.1)
        _signal(envoy, signal.SIGSTOP)
        # What it did send is in the store by then.
        await asyncio.sleep(0.1)
        if held := await blind.beats.unknown() & blind.beats.second:
            return held
        _signal(envoy, signal.SIGCONT)
    pytest.fail("Envoy never held any")


@pytest.mark.usefixtures("many_beats")
async def test_envoy_killed_with_some_in_hand(blind: Blind) -> None:
    held: set[UserId] = set()

    async def killed() -> None:
        held.update(await _freeze_with_some_in_hand(blind))
        await blind.mesh.kill("envoy")

    began = time.time()
    assert await blind.after(killed)
    # They were in its hands, and nowhere else: they never came.
    assert held & await blind.beats.unknown()
    assert any(map(_UNREAD.match, await blind.beats.pauses(began)))


@pytest.mark.usefixtures("many_beats")
async def test_envoy_frozen_with_some_in_hand(blind: Blind) -> None:
    began = 0.0

    async def frozen() -> None:
        nonlocal began
        assert await _freeze_with_some_in_hand(blind)
        began = time.time()
        try:
            await asyncio.sleep(FROZEN)
            assert any(map(_UNREAD.match, await blind.beats.pauses(began)))
        finally:
            _signal(blind.mesh.pid("envoy"), signal.SIGCONT)

    await blind.after(frozen)
    worked = await blind.worked()
    # While they were known to nobody, nobody's work ran on.
    assert not [(a, b) for a, b in worked if a < began + FROZEN and b > began + BOUND]
    await blind.assert_at_work(began)


def _signal(process: int, number: signal.Signals) -> None:
    os.kill(process, number)


def _request(host: str, token: str) -> bytes:
    lines = (
        "POST /api/v1/heartbeat HTTP/1.1",
        f"host: {host}",
        f"authorization: Bearer {token}",
        "content-type: application/json",
        f"content-length: {len(BODY)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + BODY


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    (length,) = [int(one.split(b":")[1]) for one in lines if one.startswith(b"content-length:")]
    return length
