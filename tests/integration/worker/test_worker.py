"""A worker with its child, on a real stream and a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import uuid4

import asyncpg
import pytest

from eros.scheduler.v1 import work_pb2 as pb
from eros.scheduler.v1.scheduler_pb2_grpc import (
    add_SchedulerServiceServicer_to_server,
)
from eros_common.ids import UserId
from eros_common.testing import TestTokens, start_server
from eros_matcher.compute.layout import Word
from eros_matcher.worker import checkpoints
from eros_matcher.worker.runtime import Worker
from tests.integration.worker import stubborn
from tests.integration.worker.scheduler import DrivenScheduler, JobRows, Session
from tests.integration.worker.workers import (
    ROWS,
    SPEC,
    MatrixSource,
    TableSink,
    connected_worker,
)
from tests.unit.worker.matrix_program import matrix_spec


@dataclass
class Bench:
    worker: Worker
    scheduler: DrivenScheduler
    jobs: JobRows
    source: MatrixSource
    sink: TableSink
    users: list[UserId]

    async def session(self) -> Session:
        """The worker's next stream, welcomed, asking for work."""
        session = await self.scheduler.sessions.get()
        await session.welcome()
        await session.until("ready")
        return session

    async def running(self, session: Session, *, cpu_cap: float = 0.2) -> pb.LeaseBatch:
        """A full batch leased, and its child some chunks in it: so slow that it is seen there, and
        far from the end, where others have the cores."""
        lease = await self.jobs.lease(self.users)
        lease.cpu_cap = cpu_cap
        region = self.worker.computing.child.region
        number = region.word(Word.BATCH) + 1
        session.say(lease=lease)
        while (
            region.word(Word.BATCH) < number
            or min(slot.read().generation for slot in region.slots) < 3
        ):
            assert region.word(Word.CLOSED) < number, "the batch is over"
            await asyncio.sleep(0.002)
        return lease


@pytest.fixture
async def bench(postgres_url: str) -> AsyncIterator[Bench]:
    admin = await asyncpg.connect(postgres_url)
    tokens = TestTokens()
    scheduler = DrivenScheduler()
    source, sink = MatrixSource(), TableSink()
    try:
        jobs = await JobRows.create(admin)
        async with (
            start_server(
                (add_SchedulerServiceServicer_to_server, scheduler), tokens=tokens, name="scheduler"
            ) as server,
            connected_worker(
                postgres_url, server.address, tokens.identity("worker"), source, sink
            ) as worker,
        ):
            users = [UserId(uuid4()) for _ in range(ROWS)]
            yield Bench(worker, scheduler, jobs, source, sink, users)
    finally:
        await admin.close()


@pytest.fixture
async def undisturbed(bench: Bench) -> list[bytes]:
    """What the rows come to when nobody wakes, in the order of the batch."""
    session = await bench.session()
    users = bench.users
    session.say(lease=await bench.jobs.lease(users))
    end = await session.until("batch_end")
    assert set(end.completed) == {who.bytes for who in users}
    results = await bench.jobs.results()
    await session.until("ready")
    # The tests' own people begin on a stream of their own.
    bench.users = [UserId(uuid4()) for _ in range(ROWS)]
    session.end()
    return [results[who] for who in users]


async def test_results_and_completion_are_one_transaction(bench: Bench) -> None:
    session = await bench.session()
    session.say(lease=await bench.jobs.lease(bench.users))
    end = await session.until("batch_end")
    assert set(end.completed) == {who.bytes for who in bench.users}
    assert end.cpu_seconds > 0
    assert set(await bench.jobs.results()) == set(bench.users)
    for who in bench.users:
        row = await bench.jobs.row(who)
        assert (row["state"], row["checkpoint"]) == ("q", None)
    await session.until("ready")
    assert set(bench.sink.filled) == set(bench.users)


async def test_a_woken_person_is_durable_and_left_and_resumes_to_the_same_bits(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    session = await bench.session()
    lease = await bench.running(session)
    woken = bench.users[5]
    session.halt(woken)
    (durable,), (left,) = await session.acks(lambda durable, left: bool(durable and left))
    assert durable.user_id == left.user_id == woken.bytes
    assert durable.was_running
    assert durable.received_at <= durable.at
    assert not left.killed
    row = await bench.jobs.row(woken)
    assert (row["state"], row["token"], row["last_halt"]) == ("q", durable.token, "woke")
    assert durable.token == lease.leases[5].token + 1
    stamp, _ = checkpoints.decode(row["checkpoint"])
    assert (stamp.model_version, stamp.market_version) == ("model-1", "market-1")

    end = await session.until("batch_end")
    others = [who for who in bench.users if who != woken]
    assert set(end.completed) == {who.bytes for who in others}
    results = await bench.jobs.results()
    assert woken not in results
    assert [results[who] for who in others] == undisturbed[:5] + undisturbed[6:]

    # Asleep again: the same row of the matrix, alone to be computed, from where it stopped.
    await session.until("ready")
    fillers = [UserId(uuid4()) for _ in range(ROWS - 1)]
    again = await bench.jobs.lease([*fillers[:5], woken, *fillers[5:]])
    # mark_due forgets checkpoints: it was a new due date, not a new profile.
    await bench.jobs.keep(woken, row["checkpoint"])
    session.say(lease=again)
    await session.until("batch_end")
    assert (await bench.jobs.results())[woken] == undisturbed[5]


async def test_everybody_waking_at_once_costs_few_transactions(bench: Bench) -> None:
    session = await bench.session()
    await bench.running(session)
    stranger = UserId(uuid4())
    async with bench.jobs.locked(bench.users[0]):
        for number, who in enumerate(bench.users):
            session.halt(who, nonce=f"n{number}")
        # Of whom nothing is there, which is said at once: when all before it were heard.
        session.halt(stranger, nonce="last")
        durable, left = await session.acks(
            lambda durable, _: stranger.bytes in {job.user_id for job in durable}
        )
    everybody = ROWS + 1
    more, more_left = await session.acks(
        lambda more, more_left: len(durable + more) == len(left + more_left) == everybody
    )
    durable, left = durable + more, left + more_left
    assert {job.user_id for job in durable} == {who.bytes for who in [*bench.users, stranger]}
    # The one that waited for the row, and one of all who came meanwhile.
    assert bench.worker.halts.transactions == 2
    end = await session.until("batch_end")
    assert len(end.completed) == len(end.failed) == len(end.lost) == 0
    assert await bench.jobs.results() == {}


async def test_a_row_taken_by_somebody_else_meanwhile_writes_nothing(bench: Bench) -> None:
    session = await bench.session()
    await bench.running(session)
    taken = bench.users[0]
    await bench.jobs.take_again(taken)
    end = await session.until("batch_end")
    assert list(end.lost) == [taken.bytes]
    assert set(await bench.jobs.results()) == set(bench.users) - {taken}


async def test_a_halt_of_a_row_taken_by_somebody_else_stores_nothing(bench: Bench) -> None:
    session = await bench.session()
    await bench.running(session)
    taken = bench.users[0]
    await bench.jobs.take_again(taken)
    session.halt(taken)
    (durable,), _ = await session.acks(lambda durable, left: bool(durable and left))
    assert not durable.was_running
    assert (await bench.jobs.row(taken))["checkpoint"] is None


async def test_a_child_that_does_not_let_go_is_killed_and_the_others_are_finished(
    bench: Bench, undisturbed: list[bytes]
) -> None:
    bench.source.spec = replace(SPEC, factory=stubborn.FACTORY)
    session = await bench.session()
    await bench.running(session)
    child = bench.worker.computing.child
    assert child.pid is not None
    await stubborn.until_stuck(child.region, child.pid)
    stuck = bench.users[stubborn.STUBBORN_ROW]
    session.halt(stuck)
    (durable,), (left,) = await session.acks(lambda durable, left: bool(durable and left))
    assert left.killed
    assert durable.was_running
    # The checkpoint did not wait for the child.
    assert durable.at < left.at
    end = await session.until("batch_end")
    others = [who for who in bench.users if who != stuck]
    assert set(end.completed) == {who.bytes for who in others}
    results = await bench.jobs.results()
    assert [results[who] for who in others] == [undisturbed[0], *undisturbed[2:]]


async def test_a_scheduler_that_falls_silent_leaves_nothing_running(bench: Bench) -> None:
    session = await bench.session()
    await bench.running(session, cpu_cap=0.05)
    session.mute = True
    again = await bench.scheduler.sessions.get()
    # What is on its way to the disk just now may still be named; it is not worked on.
    await again.welcome()
    await again.until("ready")
    for who in bench.users:
        row = await bench.jobs.row(who)
        assert (row["state"], row["last_halt"]) == ("q", "silence")
        assert row["checkpoint"] is not None


async def test_a_stream_that_breaks_is_opened_again_and_the_batch_goes_on(bench: Bench) -> None:
    session = await bench.session()
    lease = await bench.running(session, cpu_cap=0.3)
    session.end()
    again = await bench.scheduler.sessions.get()
    hello = await again.until("hello")
    held = {job.user_id: job for job in hello.held}
    assert set(held) == {who.bytes for who in bench.users}
    assert all(job.token == lease.leases[0].token for job in held.values())
    again.say(welcome=pb.Welcome(scheduler_id="other", protocol_version=1, kept=hello.held))
    end = await again.until("batch_end")
    assert end.batch_id == lease.batch_id
    assert set(end.completed) == {who.bytes for who in bench.users}


async def test_a_worker_told_to_end_keeps_nothing(bench: Bench) -> None:
    session = await bench.session()
    await bench.running(session, cpu_cap=0.05)
    await asyncio.wait_for(bench.worker.drain(), 10)
    states = [await bench.jobs.row(who) for who in bench.users]
    assert {(row["state"], row["last_halt"]) for row in states} == {("q", "drain")}


async def test_rows_that_raise_back_off_and_the_others_complete(bench: Bench) -> None:
    bench.source.spec = matrix_spec(rows=ROWS, columns=1000, raising_row=3)
    session = await bench.session()
    session.say(lease=await bench.jobs.lease(bench.users))
    end = await session.until("batch_end")
    assert [(job.user_id, job.error) for job in end.failed] == [
        (bench.users[3].bytes, "this row cannot be computed")
    ]
    row = await bench.jobs.row(bench.users[3])
    assert (row["state"], row["attempts"]) == ("b", 1)
    assert row["last_error"] == "this row cannot be computed"
    assert len(end.completed) == ROWS - 1
