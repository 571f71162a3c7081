"""People of a town as accounts tells of them over real gRPC, and nights worked through."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from importlib import import_module
from typing import Any

import asyncpg

from eros.accounts.v1 import accounts_pb2, accounts_pb2_grpc, profile_pb2
from eros_common.clocks import Clock
from eros_common.errors import Unavailable
from eros_common.ids import BatchId, JobToken, UserId, user_id_from_bytes
from eros_matcher.compute.program import BatchInput, BatchSpec, RowError
from eros_matcher.work import Work
from eros_matcher.worker.jobs import JobKind, Lease, LeasedBatch, RowResult


class Town(accounts_pb2_grpc.AccountsServiceServicer):
    """Answers from `profiles` and notes what it was asked; `away` refuses."""

    def __init__(self) -> None:
        self.profiles: dict[UserId, profile_pb2.MatchingProfile] = {}
        self.asked: list[int] = []
        self.away = False

    def add(self, profile: profile_pb2.MatchingProfile) -> UserId:
        user = user_id_from_bytes(profile.user_id)
        self.profiles[user] = profile
        return user

    async def ListMatchingProfiles(
        self, request: accounts_pb2.ListMatchingProfilesRequest, context: Any
    ) -> accounts_pb2.ListMatchingProfilesResponse:
        if self.away:
            raise Unavailable("accounts is away")
        self.asked.append(len(request.user_ids))
        users = map(user_id_from_bytes, request.user_ids)
        return accounts_pb2.ListMatchingProfilesResponse(
            profiles=[self.profiles[user] for user in users if user in self.profiles]
        )


class Nights:
    """Does what a worker does with `work`, in this process: no leases, no halts."""

    def __init__(self, pool: asyncpg.Pool, work: Work, clock: Clock) -> None:
        self.pool = pool
        self.work = work
        self._clock = clock

    async def whole(self, users: Sequence[UserId], list_date: date) -> None:
        """Analyze, score and match everybody."""
        for kind in (JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH):
            await self.run(kind, users, list_date)

    async def run(self, kind: JobKind, users: Iterable[UserId], list_date: date) -> None:
        await self.keep(kind, await self.compute(kind, users, list_date))

    def batch(self, kind: JobKind, users: Iterable[UserId], list_date: date) -> LeasedBatch:
        now = self._clock.night()
        next_due = now + timedelta(days=1)
        leases = tuple(Lease(user, JobToken(1), next_due, list_date) for user in users)
        return LeasedBatch(BatchId("b"), kind, 1.0, leases, now)

    async def compute(
        self, kind: JobKind, users: Iterable[UserId], list_date: date
    ) -> list[RowResult]:
        """The results of one batch, not yet kept; rows that fail are left out."""
        batch = self.batch(kind, users, list_date)
        leases = {lease.user_id: lease for lease in batch.leases}
        prepared = await self.work.source.prepare(batch)
        results = {} if prepared.spec is None else computed(prepared.spec)
        rows = [
            RowResult(leases[user], results[row])
            for row, user in enumerate(prepared.users)
            if row in results
        ]
        return rows + [RowResult(leases[user], None) for user in prepared.settled]

    async def keep(self, kind: JobKind, rows: Sequence[RowResult]) -> None:
        async with self.pool.acquire() as connection, connection.transaction():
            await self.work.sink.write(connection, kind, rows)
        await self.work.sink.committed(kind, rows)


def computed(spec: BatchSpec) -> dict[int, bytes]:
    """Runs a batch as the compute child does; results by row."""
    module, name = spec.factory.split(":")
    maps = []
    for path in spec.files:
        with path.open("rb") as file:
            maps.append(memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)))
    program = getattr(import_module(module), name)(
        BatchInput(spec.rows, memoryview(spec.payload), tuple(maps))
    )
    alive: list[int] = []
    for row in range(spec.rows):
        try:
            program.load(row, None)
            alive.append(row)
        except RowError:
            pass
    results: dict[int, bytes] = {}
    while alive:
        for row in program.chunk(alive, 4).finished:
            results[row] = program.result(row)
            assert len(results[row]) <= spec.result_bytes
            program.drop(row)
        alive = [row for row in alive if row not in results]
    program.close()
    return results


def local(text: str) -> datetime:
    """An instant of the tests' night clock, UTC."""
    return datetime.fromisoformat(f"{text}+00:00")
