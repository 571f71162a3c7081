"""The scheduler's side of the stream, driven by a test; and the job rows it leases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from eros.scheduler.v1 import work_pb2 as pb
from eros.scheduler.v1.scheduler_pb2_grpc import SchedulerServiceServicer
from eros_common.ids import UserId
from eros_matcher.worker.jobs import JobKind
from tests.unit.worker.batches import NIGHT

ALIVE_SECONDS = 0.3


class Session:
    """One stream of a worker."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[pb.WorkRequest] = asyncio.Queue()
        self.to_say: asyncio.Queue[pb.WorkResponse | None] = asyncio.Queue()
        self.mute = False

    def say(self, **message: Any) -> None:
        self.to_say.put_nowait(pb.WorkResponse(**message))

    def end(self) -> None:
        self.to_say.put_nowait(None)

    async def until(self, kind: str) -> Any:
        """The next message of that kind; statuses and others in between are passed over."""
        while True:
            message = await self.heard.get()
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)

    async def acks(
        self, enough: Callable[[list[pb.HaltedJob], list[pb.HaltedJob]], bool]
    ) -> tuple[list[pb.HaltedJob], list[pb.HaltedJob]]:
        """All that became durable and all that left, once it is enough."""
        durable: list[pb.HaltedJob] = []
        left: list[pb.HaltedJob] = []
        while not enough(durable, left):
            ack = await self.until("halt_ack")
            durable += ack.durable
            left += ack.left
        return durable, left

    def halt(self, *users: UserId, nonce: str = "n1") -> None:
        self.say(
            halt=pb.HaltBatch(
                nonce=nonce,
                users=[pb.HaltedUser(user_id=who.bytes, touched_at=time.time()) for who in users],
                reason=pb.HALT_REASON_WOKE,
            )
        )

    async def welcome(self, kept: Sequence[pb.HeldJob] = ()) -> pb.Hello:
        hello: pb.Hello = await self.until("hello")
        self.say(welcome=pb.Welcome(scheduler_id="test", protocol_version=1, kept=kept))
        return hello


class DrivenScheduler(SchedulerServiceServicer):
    """Accepts workers; `sessions` hands their streams to the test."""

    def __init__(self) -> None:
        self.sessions: asyncio.Queue[Session] = asyncio.Queue()

    async def Work(
        self, request_iterator: AsyncIterator[pb.WorkRequest], context: Any
    ) -> AsyncIterator[pb.WorkResponse]:
        del context
        session = Session()
        reading = asyncio.create_task(_read(request_iterator, session))
        self.sessions.put_nowait(session)
        try:
            while True:
                try:
                    message = await asyncio.wait_for(session.to_say.get(), ALIVE_SECONDS)
                except TimeoutError:
                    message = pb.WorkResponse(alive=pb.Alive())
                if message is None:
                    return
                if not session.mute:
                    yield message
        finally:
            reading.cancel()

    async def GetOverview(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ListJobs(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ListHalts(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def ExplainJobs(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def RetryJobs(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def CancelJobs(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


async def _read(requests: AsyncIterator[pb.WorkRequest], session: Session) -> None:
    async for message in requests:
        session.heard.put_nowait(message)
    # The worker has nothing more to say: neither have we.
    session.end()


class JobRows:
    """The rows in the scheduler's schema, as an administrator sees them."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def create(cls, connection: asyncpg.Connection) -> JobRows:
        """With a table of results that takes whatever is written, twice if need be."""
        await connection.execute("DROP TABLE IF EXISTS matcher.test_results")
        await connection.execute("CREATE TABLE matcher.test_results (user_id uuid, result bytea)")
        await connection.execute("GRANT INSERT ON matcher.test_results TO eros_matcher")
        return cls(connection)

    async def lease(self, users: Sequence[UserId], kind: JobKind = JobKind.MATCH) -> pb.LeaseBatch:
        """Make the rows, take them for the worker, and the message that says so."""
        async with self._connection.transaction():
            await self._connection.execute(
                "SELECT scheduler.mark_due($1::uuid[], $2::text[], $3::smallint, $4)",
                users,
                ["UTC"] * len(users),
                int(kind),
                NIGHT,
            )
            rows = await self._connection.fetch(
                """UPDATE scheduler.jobs SET state = 'l', token = token + 1, owner = 'w',
                       claimed_at = $3, lease_until = clock_timestamp() + interval '2 min'
                   WHERE user_id = ANY ($1::uuid[]) AND kind = $2
                   RETURNING user_id, token""",
                users,
                int(kind),
                NIGHT,
            )
        found = {row["user_id"]: row for row in rows}
        batch = pb.LeaseBatch(
            batch_id=f"b{time.monotonic_ns()}",
            kind=pb.JobKind.ValueType(kind),
            cpu_cap=0.95,
            leases=[
                pb.Lease(
                    user_id=who.bytes,
                    token=found[who]["token"],
                    list_date="2026-11-24",
                )
                for who in users
            ],
        )
        batch.lease_until.FromMicroseconds(round((time.time() + 120) * 1e6))
        batch.night_now.FromDatetime(NIGHT)
        for job in batch.leases:
            job.next_due_at.FromDatetime(NIGHT)
        return batch

    async def keep(self, who: UserId, checkpoint: bytes, kind: JobKind = JobKind.MATCH) -> None:
        """What was computed before, by whoever had the row then."""
        await self._connection.execute(
            "UPDATE scheduler.jobs SET checkpoint = $3 WHERE user_id = $1 AND kind = $2",
            *(who, int(kind), checkpoint),
        )

    @asynccontextmanager
    async def locked(self, who: UserId) -> AsyncIterator[None]:
        """Whoever would write this person's rows waits until the block ends."""
        async with self._connection.transaction():
            await self._connection.execute(
                "SELECT FROM scheduler.jobs WHERE user_id = $1 FOR UPDATE", who
            )
            yield

    async def take_again(self, who: UserId, kind: JobKind = JobKind.MATCH) -> None:
        """What another scheduler does when the lease has run out."""
        await self._connection.execute(
            "UPDATE scheduler.jobs SET token = token + 1 WHERE user_id = $1 AND kind = $2",
            who,
            int(kind),
        )

    async def redo(self, users: Sequence[UserId], result: bytes) -> None:
        """Take the rows, and finish them as another worker."""
        for who in users:
            await self.take_again(who)
        rows = [await self.row(who) for who in users]
        async with self._connection.transaction():
            await self._connection.executemany(
                "INSERT INTO matcher.test_results VALUES ($1, $2)", [(who, result) for who in users]
            )
            await self._connection.execute(
                "SELECT scheduler.complete($1::uuid[], $2, $3::bigint[], $4::timestamptz[])",
                users,
                int(JobKind.MATCH),
                [row["token"] for row in rows],
                [NIGHT] * len(users),
            )

    async def row(self, who: UserId, kind: JobKind = JobKind.MATCH) -> asyncpg.Record:
        found = await self._connection.fetchrow(
            "SELECT * FROM scheduler.jobs WHERE user_id = $1 AND kind = $2", who, int(kind)
        )
        assert found is not None
        return found

    async def results(self) -> dict[UserId, bytes]:
        rows = await self._connection.fetch("SELECT user_id, result FROM matcher.test_results")
        found = {row["user_id"]: row["result"] for row in rows}
        assert len(found) == len(rows), "somebody's result was written twice"
        return found
