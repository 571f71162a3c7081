"""The activity service dies, stands still and is drained while people say that they are awake: for
every sign of life that was lost, nobody's work ran on beyond the bound."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import asyncpg
import jwt
import pytest

from eros.accounts.v1 import accounts_pb2
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import EVERYTHING, MeshOptions, NightClock, Part
from eros_cli.operator import open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId, new_user_id
from eros_common.redis import open_redis
from tests.support.stores import clean_environment

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
CITY = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
PEOPLE = 150
#: One heartbeat interval. Watching that is silent for SILENCE is blind, an entry that is missing
#: for REORDER is lost; what was begun is off the worker HALT later. The rest is for the machine.
INTERVAL, SILENCE, REORDER, HALT, ROOM = 3.0, 1.0, 0.5, 0.5, 1.0
BOUND = SILENCE + HALT + ROOM
SETTINGS = {
    "EROS_RATE_PER_SECOND": "0",
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
BEATS_PER_SECOND = 150
GENEROUS_SECONDS = 40.0
BODY = b'{"appActive":true,"screenOn":true}'
LEASED = 1
_AUDIT = "SELECT at, event, kind, users, tokens FROM scheduler.audit WHERE event <= 6 ORDER BY at"
_LEASES = "SELECT count(*) FROM scheduler.jobs WHERE lease_until IS NOT NULL"


@dataclass(slots=True)
class Beats:
    """Heartbeats that Envoy answered: who, and when (wall), each person once."""

    mesh: Mesh
    answered: list[tuple[UserId, float]] = field(default_factory=list)

    @asynccontextmanager
    async def sent(self) -> AsyncIterator[None]:
        """Two phones' worth of connections, until the block ends."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._send()) for _ in range(2)]
            yield
            for task in tasks:
                task.cancel()

    async def _send(self) -> None:
        key = max(self.mesh.data.signing_keys.glob("*.pem"))
        pem, kid = key.read_bytes(), key.stem
        host, _, port = self.mesh.url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            while True:
                user, now = new_user_id(), int(time.time())
                claims = {"iss": "eros", "aud": "eros", "sub": str(user), "sid": user.hex}
                times = {"roles": [], "iat": now, "exp": now + 600}
                token = jwt.encode(claims | times, pem, algorithm="EdDSA", headers={"kid": kid})
                writer.write(_request(host, token))
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 200 "):
                    self.answered.append((user, time.time()))
                await reader.readexactly(_length(head))
                await asyncio.sleep(2 / BEATS_PER_SECOND)
        finally:
            writer.close()

    async def lost(self, since: float, until: float) -> list[float]:
        """When those were answered of whom the activity service does not hear."""
        await asyncio.sleep(REORDER)  # some are still on their way
        known: set[object] = set()
        url = self.mesh.environment()["ACTIVITY_REDIS_URL"]
        async with open_redis(url, app="test") as redis:
            async for name in redis.scan_iter("activity:*:people"):
                known.update(await redis.zrange(name, 0, -1))
        return [
            at for user, at in self.answered if since <= at <= until and user.bytes not in known
        ]


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
            # Not because there was nothing to do.
            assert any(a < first < b for a, b in spans), (first, spans)
        return lost


@pytest.fixture(scope="module")
async def blind() -> AsyncIterator[Blind]:
    options = MeshOptions(
        parts=EVERYTHING - {Part.ASSISTANT},
        workers=1,
        environment=clean_environment(),
        settings=SETTINGS,
        night=NightClock(START, datetime.now(UTC)),
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
        beats = Beats(mesh)
        async with asyncpg.create_pool(url, min_size=1, max_size=2) as pool, beats.sent():
            yield Blind(mesh, pool, beats)


async def test_killed(blind: Blind) -> None:
    async def killed() -> None:
        await blind.mesh.kill("activity")
        await asyncio.sleep(0.1)
        await blind.mesh.until_serving("activity")

    # What was on its way to the dead is lost, and Envoy does not say so.
    assert await blind.after(killed)


async def test_frozen(blind: Blind) -> None:
    process = blind.mesh.pid("activity")

    async def frozen() -> None:
        _signal(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(2)
        finally:
            _signal(process, signal.SIGCONT)

    began = time.time()
    await blind.after(frozen)
    # Whether or not anything was lost, for so long nobody could know who is awake.
    worked = await blind.worked()
    assert not [(a, b) for a, b in worked if a < began + 2 and b > began + BOUND]


async def test_drained(blind: Blind) -> None:
    await blind.after(lambda: blind.mesh.restart("activity"))


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
