"""Nights over the whole mesh: a person wakes or leaves, or a worker freezes, in the middle of the
work."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from redis.asyncio import Redis

from eros.accounts.v1 import accounts_pb2
from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_advice.prepared import decode, prepared_key
from eros_advice.texts import Language
from eros_cli.mesh.mesh import Mesh
from eros_cli.mesh.options import NightClock
from eros_cli.mesh.processes import signal_worker
from eros_cli.operator import Operator, open_operator
from eros_cli.population import demo
from eros_cli.population.load import load_people, touch
from eros_cli.population.places import City
from eros_common.ids import UserId, user_id_from_bytes
from eros_common.redis import open_redis
from tests.support.mesh import whole_mesh
from tests.support.people import succeeded
from tests.support.traces import until_gone, until_no_keys

MATCH = work_pb2.JOB_KIND_MATCH
PREPARE = work_pb2.JOB_KIND_PREPARE
LEASED = scheduler_pb2.JOB_EVENT_LEASED
GIVEN_BACK = scheduler_pb2.JOB_EVENT_GIVEN_BACK
DONE = scheduler_pb2.JOB_EVENT_DONE
#: Ten night minutes a second: who touches the phone is deep asleep again two seconds later.
RATE = 600.0
PEOPLE = 300
START = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
CITY = (City("Madrid", 40.42, -3.70, "UTC", 1, 10.0),)
SETTINGS = {
    "EROS_WINDOW_START": "00:00",
    "EROS_WINDOW_PHASE2": "00:01",
    "EROS_WINDOW_PHASE3": "00:02",
    "EROS_WINDOW_END": "23:59",
    "EROS_IDLE_PHASE1_SECONDS": "600",
    "EROS_IDLE_PHASE2_SECONDS": "900",
    "EROS_IDLE_PHASE3_SECONDS": "1200",
    "EROS_HEARTBEAT_INTERVAL_SECONDS": "0.5",
    "EROS_TICK_SECONDS": "0.5",
    "EROS_LEASE_SECONDS": "4",
    "EROS_CPU_CAP_PHASE1": "0.95",
    "EROS_CPU_CAP_PHASE2": "0.95",
    # So slow that a batch of matching, of so many, is in a worker's hands for seconds.
    "EROS_CPU_CAP_PHASE3": "0.04",
    "EROS_BATCH_MATCH": "150",
    # Learning, which a slow worker would be busy with for minutes, makes room at once.
    "EROS_LEARN_ASLEEP_SHARE": "1",
    "EROS_LEARN_TURN_SECONDS": "0.5",
    "EROS_LEARN_TURN_SHARE": "0.01",
}
GENEROUS_SECONDS = 60.0
HALT_SECONDS = 5.0

_STORED = "SELECT * FROM matcher.recommendations WHERE user_id = $1 AND source = 2"
_WORKERS_IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name LIKE '%worker%' AND xact_start IS NOT NULL
"""
_FINISHED = """
SELECT count(*) FROM scheduler.audit
WHERE event = 3 AND kind = $2 AND $1 = ANY (users) AND at > $3
"""
_DONE_BY = "SELECT count(*) FROM scheduler.audit WHERE worker = $1 AND event = 3 AND at > $2"


@dataclass(frozen=True, slots=True)
class Night:
    """A mesh in which it is night, as its operator and its database see it."""

    mesh: Mesh
    operator: Operator
    database: asyncpg.Pool

    async def fall_asleep(self, name: str) -> set[UserId]:
        """New people who have been asleep for hours."""
        people = (
            accounts_pb2.ImportedAccount(
                external_id=str(number), profile=demo.profile(Random(f"{name}/{number}"), CITY)
            )
            for number in range(PEOPLE)
        )
        loaded = await load_people(self.operator.accounts, name, people)
        await touch(self.operator.activity, dict.fromkeys(loaded.zones, START - timedelta(hours=5)))
        return set(loaded.zones)

    async def matched_now(
        self, among: set[UserId], kind: int = MATCH
    ) -> dict[UserId, scheduler_pb2.Job]:
        """Whose match, or other job, is with a worker."""
        request = scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED, limit=1000)
        jobs = (await self.operator.scheduler.ListJobs(request)).jobs
        found = {user_id_from_bytes(job.user_id): job for job in jobs if job.kind == kind}
        return {user: job for user, job in found.items() if user in among}

    async def match_of(self, user: UserId) -> scheduler_pb2.Job:
        request = scheduler_pb2.ListJobsRequest(user_id=user.bytes)
        jobs = (await self.operator.scheduler.ListJobs(request)).jobs
        (job,) = [job for job in jobs if job.kind == MATCH]
        return job

    async def halt_of(self, user: UserId, kind: int = MATCH) -> scheduler_pb2.Halt | None:
        request = scheduler_pb2.ListHaltsRequest(user_id=user.bytes)
        halts = (await self.operator.scheduler.ListHalts(request)).halts
        return next((halt for halt in halts if halt.kind == kind), None)

    async def history(self, user: UserId, kind: int = MATCH) -> list[scheduler_pb2.AuditEntry]:
        """What happened to their match, or other job, oldest first: as far as a worker had it.

        A claim may still see somebody asleep of whom it is heard meanwhile that they woke. It is
        given back unsent.
        """
        request = scheduler_pb2.ExplainJobsRequest(user_id=user.bytes, limit=1000)
        answer = await self.operator.scheduler.ExplainJobs(request)
        story = [entry for entry in reversed(answer.history) if entry.kind == kind]
        unsent = {entry.token for entry in story if entry.why == "released"}
        return [entry for entry in story if entry.token not in unsent]

    async def stored(self, user: UserId) -> list[asyncpg.Record]:
        """Their list as matching wrote it, every column."""
        rows = await self.database.fetch(_STORED, user)
        return list(rows)

    async def done_by(self, worker: str, since: datetime) -> bool:
        """Whether this worker has finished any job after `since`, a wall instant."""
        return bool(await self.database.fetchval(_DONE_BY, worker, since))

    async def finished(self, user: UserId, kind: int, since: datetime) -> bool:
        """Whether this job of theirs was done after `since`, a wall instant."""
        return bool(await self.database.fetchval(_FINISHED, user, kind, since))

    async def touch_the_phone(self, user: UserId) -> None:
        """A heartbeat over HTTP."""
        body = {"appActive": True, "screenOn": True}
        await self._call(user, "POST", "/api/v1/heartbeat", body)

    async def leave(self, user: UserId) -> None:
        """The account deleted over HTTP."""
        await self._call(user, "DELETE", "/api/v1/users/profile", None)

    async def chat(self, user: UserId, message: str) -> dict[str, Any]:
        """What the assistant answers, over HTTP."""
        return await self._call(user, "POST", "/api/v1/assistant/chat", {"message": message})

    async def daily(self, user: UserId) -> dict[str, Any]:
        """The day's list, over HTTP."""
        return await self._call(user, "GET", "/api/v1/matches/daily", None)

    async def prepared(self, user: UserId) -> bytes | None:
        """What the night left for the assistant, as it is in the cache."""
        async with open_redis(self.mesh.environment()["CACHE_REDIS_URL"], app="test") as cache:
            found = await cache.get(prepared_key(user))
        return found if isinstance(found, bytes) else None

    async def _call(self, user: UserId, method: str, path: str, body: Any) -> dict[str, Any]:
        """With a token of the mesh's own."""
        key = max(self.mesh.data.signing_keys.glob("*.pem"))
        now = int(time.time())
        claims = {"iss": "eros", "aud": "eros", "sub": str(user), "sid": f"{user.int:032x}"}
        token = jwt.encode(
            {**claims, "roles": [], "iat": now, "exp": now + 600},
            key.read_bytes(),
            algorithm="EdDSA",
            headers={"kid": key.stem},
        )
        async with httpx.AsyncClient(base_url=self.mesh.url, trust_env=False) as http:
            headers = {"authorization": f"Bearer {token}"}
            answer = await http.request(method, path, json=body, headers=headers)
        return succeeded(answer)


@pytest.fixture(scope="module")
async def night() -> AsyncIterator[Night]:
    clock = NightClock(START, datetime.now(UTC), RATE)
    async with (
        whole_mesh(SETTINGS, clock) as mesh,
        open_operator(mesh.environment()) as operator,
        asyncpg.create_pool(mesh.environment()["DATABASE_URL"], min_size=1, max_size=2) as pool,
    ):
        yield Night(mesh, operator, pool)


async def halt_somebody(
    night: Night,
    people: set[UserId],
    by: Callable[[UserId], Awaitable[None]],
    kind: int = MATCH,
) -> tuple[scheduler_pb2.Job, scheduler_pb2.Halt]:
    """Somebody's match, or other job, as a worker had it, and the halt that was caused.

    Whose job was done before is not who is looked for.
    """
    left = set(people)
    while True:
        while not (running := await night.matched_now(left, kind)):
            await asyncio.sleep(0.02)
        user, job = running.popitem()
        since = datetime.now(UTC)
        left.remove(user)
        await by(user)
        while await night.matched_now({user}, kind):
            await asyncio.sleep(0.02)
        # A halt is recorded when it is over, which is a little after the row was given back.
        with suppress(TimeoutError):
            async with asyncio.timeout(HALT_SECONDS):
                while not await night.finished(user, kind, since):
                    if halt := await night.halt_of(user, kind):
                        return job, halt
                    await asyncio.sleep(0.02)


async def test_who_wakes_is_left_at_once_and_matched_when_asleep_again(night: Night) -> None:
    people = await night.fall_asleep("waking")
    async with asyncio.timeout(GENEROUS_SECONDS):
        job, halt = await halt_somebody(night, people, night.touch_the_phone)
        user = user_id_from_bytes(job.user_id)
        assert halt.reason == work_pb2.HALT_REASON_WOKE
        assert halt.touched_at <= halt.event_at <= halt.dispatched_at <= halt.received_at
        assert halt.received_at <= halt.durable_at
        assert halt.received_at <= halt.left_at

        assert (await night.match_of(user)).token > job.token

        # The others of the batch are matched all the same, and the person once asleep again.
        while not all([await night.stored(other) for other in (user, *people)]):
            await asyncio.sleep(0.2)
    story = [entry for entry in await night.history(user) if entry.token >= job.token]
    events = [entry.event for entry in story]
    # On a busy machine a worker may lose it once more in between, by its lease; done it is once.
    assert events[:2] == [LEASED, GIVEN_BACK], story
    assert (events[-2:], events.count(DONE)) == ([LEASED, DONE], 1), story
    assert story[0].token < story[-2].token == story[-1].token
    written = {row["created_at"] for row in await night.stored(user)}
    assert min(written) > story[-2].at.ToDatetime(tzinfo=UTC)


async def test_what_the_night_prepared_is_answered_by_day_and_who_wakes_is_prepared_another_night(
    night: Night,
) -> None:
    people = await night.fall_asleep("preparing")
    async with asyncio.timeout(GENEROUS_SECONDS):
        job, halt = await halt_somebody(night, people, night.touch_the_phone, PREPARE)
        woken = user_id_from_bytes(job.user_id)
        assert halt.reason == work_pb2.HALT_REASON_WOKE
        assert halt.received_at <= halt.durable_at
        # The others were left to it, and the one who woke had their turn when asleep again.
        while not all([await night.prepared(user) for user in people]):
            await asyncio.sleep(0.2)
        story = [e for e in await night.history(woken, PREPARE) if e.token >= job.token]
        assert [entry.event for entry in story[:4]] == [LEASED, GIVEN_BACK, LEASED, DONE]
        assert story[0].token < story[2].token == story[3].token

        # Morning, over HTTP: what is said is what was worked out while they slept.
        for user in (woken, *(people - {woken})):
            data = await night.prepared(user)
            found = None if data is None else decode(data)
            matches = (await night.daily(user))["matches"]
            if found is None or not matches or not found.openings[Language.EN]:
                continue
            answer = await night.chat(user, f"What could I write to {matches[0]['name']}?")
            assert (answer["engine"], answer["source"]) == ("prepared", "prepared")
            lines = found.openings[Language.EN][matches[0]["userId"]]
            assert all(line in answer["response"] for line in lines)
            break
        else:
            pytest.fail("nobody has a match to write to")


async def test_whose_account_is_deleted_is_left_at_once_and_nothing_of_them_stays(
    night: Night,
) -> None:
    people = await night.fall_asleep("leaving")
    gone = set()

    async def leave(user: UserId) -> None:
        gone.add(user)
        await night.leave(user)

    async with asyncio.timeout(GENEROUS_SECONDS):
        job, halt = await halt_somebody(night, people, leave)
        user = user_id_from_bytes(job.user_id)
        assert halt.reason == work_pb2.HALT_REASON_DELETED
        assert halt.event_at <= halt.dispatched_at <= halt.received_at
        # Nothing to give back: the row is gone. The worker has left it all the same.
        assert halt.received_at <= halt.left_at
        # Whatever the batch had of them is not stored: the others' lists are.
        while not all([await night.stored(other) for other in people - gone]):
            await asyncio.sleep(0.2)
        async with (
            night.database.acquire() as connection,
            Redis.from_url(night.mesh.environment()["REDIS_URL"]) as valkey,
        ):
            await until_gone(connection, str(user))
            await until_no_keys(valkey, str(user))
    events = [entry.event for entry in await night.history(user) if entry.token >= job.token]
    assert DONE not in events


async def freeze_at_work(night: Night, people: set[UserId]) -> dict[UserId, scheduler_pb2.Job]:
    """Freezes worker-2, with all its processes, while it matches some of these and is in no
    transaction; else leaves it.

    What a transaction has locked is free after seconds only, of the building of a market 30.
    """
    if not await night.matched_now(people):
        return {}
    signal_worker(night.mesh.pid("worker-2"), signal.SIGSTOP)
    # What was on its way to the database when it froze has arrived, and rightly so.
    await asyncio.sleep(0.1)
    held = await night.matched_now(people)
    if not held or await night.database.fetchval(_WORKERS_IN_TRANSACTION):
        signal_worker(night.mesh.pid("worker-2"), signal.SIGCONT)
        return {}
    return held


async def test_a_thawed_worker_changes_nothing_and_works_again(night: Night) -> None:
    await night.mesh.stop("worker-1")
    people = await night.fall_asleep("freezing")
    async with asyncio.timeout(GENEROUS_SECONDS):
        while not (held := await freeze_at_work(night, people)):
            await asyncio.sleep(0.1)
        (frozen,) = {job.owner for job in held.values()}
        try:
            await night.mesh.start("worker-1")
            while not all([await night.stored(user) for user in held]):
                await asyncio.sleep(0.2)
            done = {user: await night.match_of(user) for user in held}
            lists = {user: await night.stored(user) for user in held}
        finally:
            signal_worker(night.mesh.pid("worker-2"), signal.SIGCONT)
        thawed = datetime.now(UTC)

        more = await night.fall_asleep("later")
        while not await night.done_by(frozen, thawed):
            await asyncio.sleep(0.1)
    assert held
    assert more
    for user, job in held.items():
        after = await night.match_of(user)
        assert after.token == done[user].token > job.token
        assert await night.stored(user) == lists[user]
        finished = [entry for entry in await night.history(user) if entry.event == DONE]
        assert len(finished) == 1
        assert finished[0].worker_id not in ("", frozen)
