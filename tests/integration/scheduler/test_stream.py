"""The work stream end to end: leases, halts, resync, takeover, pause, over real gRPC on real
PostgreSQL."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from eros.scheduler.v1 import scheduler_pb2, work_pb2
from eros_common.config import ServiceSettings
from eros_common.ids import JobToken, UserId, user_id_from_bytes
from eros_scheduler.core.model import HeldJob, JobKind
from tests.integration.scheduler.conftest import NIGHT, World
from tests.integration.scheduler.scripted import ScriptedWorker

ANALYZE = JobKind.ANALYZE


def users_of(lease: work_pb2.LeaseBatch) -> set[UserId]:
    return {user_id_from_bytes(each.user_id) for each in lease.leases}


def jobs_of(lease: work_pb2.LeaseBatch) -> list[HeldJob]:
    return [
        HeldJob(user_id_from_bytes(each.user_id), JobKind(lease.kind), JobToken(each.token))
        for each in lease.leases
    ]


async def work(world: World, worker: ScriptedWorker, lease: work_pb2.LeaseBatch) -> set[UserId]:
    """Complete a batch, as a worker does."""
    done = await world.fences.complete(
        [user_id_from_bytes(each.user_id) for each in lease.leases],
        JobKind(lease.kind),
        [JobToken(each.token) for each in lease.leases],
        [each.next_due_at.ToDatetime(NIGHT.tzinfo) for each in lease.leases],
    )
    await worker.end_batch(lease, [user.bytes for user in done])
    return done


async def test_a_night_goes_through_all_kinds(world: World) -> None:
    people = await world.people(30)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    order: list[int] = []
    done = 0
    while done < 90:
        lease = await worker.heard("lease")
        order.append(lease.kind)
        done += len(await work(world, worker, lease))
        await worker.ready()
    assert order[0] == ANALYZE
    assert set(order) == {1, 2, 3}
    left = await world.admin.fetchval(
        "SELECT count(*) FROM scheduler.jobs WHERE due_at < $1", NIGHT
    )
    assert left == 0
    assert len(people) == 30


async def test_a_wake_halts_whoever_woke(world: World) -> None:
    people = await world.people(10)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    assert lease.cpu_cap == pytest.approx(0.05)
    for user in people:
        touched_at = await world.activity.wake(user, at=NIGHT.timestamp())
        halt = await worker.heard("halt")
        (halted,) = halt.users
        assert (halted.user_id, halted.touched_at) == (user.bytes, touched_at)
        assert halt.reason == work_pb2.HALT_REASON_WOKE
        await worker.acknowledge(halt, ANALYZE)

    halts = await stub.ListHalts(
        scheduler_pb2.ListHaltsRequest(limit=10), metadata=world.metadata("operator")
    )
    while len(halts.halts) < 10:  # they are written in batches
        await asyncio.sleep(0.05)
        halts = await stub.ListHalts(
            scheduler_pb2.ListHaltsRequest(limit=10), metadata=world.metadata("operator")
        )
    assert halts.halts[0].user_id == people[-1].bytes
    for each in halts.halts:
        legs = (
            each.touched_at,
            each.event_at,
            each.dispatched_at,
            each.received_at,
            each.durable_at,
        )
        assert list(legs) == sorted(legs)
    awake = await world.admin.fetchval(
        "SELECT count(*) FROM scheduler.jobs WHERE asleep_since IS NOT NULL"
    )
    assert awake == 0


async def test_resync_keeps_what_is_live_and_fences_the_rest(world: World) -> None:
    one, two, three = await world.people(3)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    jobs = {job.user_id: job for job in jobs_of(await worker.heard("lease"))}
    await worker.close()
    await world.fences.checkpoint([two], ANALYZE, [jobs[two].token], [b"x"], "elsewhere")
    await world.activity.wake(three, at=NIGHT.timestamp())

    again = world.stranger(stub, "w1")
    await again.hello(*jobs.values())
    welcome = await again.heard("welcome")
    assert {user_id_from_bytes(job.user_id) for job in welcome.kept} == {one, three}
    halted: dict[bytes, int] = {}
    while len(halted) < 2:
        halt = await again.heard("halt")
        halted |= {user.user_id: halt.reason for user in halt.users}
    assert halted == {
        two.bytes: work_pb2.HALT_REASON_FENCED,
        three.bytes: work_pb2.HALT_REASON_WOKE,
    }
    # What was kept is halted like anything else.
    await world.activity.wake(one, at=NIGHT.timestamp())
    assert (await again.heard("halt")).users[0].user_id == one.bytes


async def test_a_silent_worker_s_jobs_are_taken_over_and_it_is_fenced(world: World) -> None:
    people = await world.people(5)
    stub = await world.scheduler(lease_seconds=0.5)
    frozen = await world.worker(stub, "frozen")
    first = await frozen.heard("lease")
    other = await world.worker(stub, "other")
    second = await other.heard("lease")
    assert users_of(first) == users_of(second) == set(people)
    halt = await frozen.heard("halt")
    assert halt.reason == work_pb2.HALT_REASON_FENCED
    # It thaws and completes what is no longer its own.
    assert await work(world, frozen, first) == set()
    assert await work(world, other, second) == set(people)


async def test_renewing_keeps_a_lease(world: World) -> None:
    await world.people(5)
    stub = await world.scheduler(lease_seconds=1.5)
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    first = until = lease.lease_until.ToNanoseconds()
    other = await world.worker(stub, "other")
    # Until the lease as it was given is over by far.
    while time.time_ns() < first + 400_000_000:
        await worker.send(renew=work_pb2.Renew(batch_id=lease.batch_id))
        renewed = await worker.heard("renewed")
        assert renewed.lease_until.ToNanoseconds() > until
        until = renewed.lease_until.ToNanoseconds()
        await asyncio.sleep(0.2)
    assert other.waiting("lease") == 0
    assert len(await work(world, worker, lease)) == 5


async def test_a_pause_halts_all_and_leases_nothing_until_it_ends(world: World) -> None:
    await world.people(5)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    await world.activity.pause(1.0, "the gateway's stream was cut")
    paused_at = time.time()
    halt = await worker.heard("halt")
    assert (halt.all, halt.reason) == (True, work_pb2.HALT_REASON_PAUSED)
    jobs = jobs_of(lease)
    await world.fences.checkpoint(
        [job.user_id for job in jobs], ANALYZE, [job.token for job in jobs], [b"x"] * 5, "paused"
    )
    await worker.acknowledge(halt, ANALYZE)
    await worker.end_batch(lease, [])
    await worker.ready()
    overview = await stub.GetOverview(
        scheduler_pb2.GetOverviewRequest(), metadata=world.metadata("operator")
    )
    assert overview.pause_reason == "the gateway's stream was cut"
    assert overview.HasField("paused_until")
    again = await worker.heard("lease")
    assert time.time() - paused_at >= 0.95
    jobs = jobs_of(again)
    kept = await world.fences.checkpoints(
        [job.user_id for job in jobs], ANALYZE, [job.token for job in jobs]
    )
    assert list(kept.values()) == [b"x"] * 5


async def test_a_checkpoint_larger_than_any_message_is_leased_again(world: World) -> None:
    (one,) = await world.people(1)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    (job,) = jobs_of(lease)
    large = bytes(ServiceSettings.model_fields["max_message_bytes"].default + 1)
    await world.fences.checkpoint([one], ANALYZE, [job.token], [large], "yielded")
    await worker.end_batch(lease, [])
    await worker.ready()
    (again,) = jobs_of(await worker.heard("lease"))
    assert await world.fences.checkpoints([one], ANALYZE, [again.token]) == {one: large}


async def test_silence_halts_and_costs_a_heartbeat_once_it_is_over(world: World) -> None:
    await world.people(3)
    stub = await world.scheduler(stream_silence_seconds=0.4, heartbeat_interval_seconds=0.7)
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    frozen_at = time.time()
    await world.activity.freeze()
    halt = await worker.heard("halt")
    assert (halt.all, halt.reason) == (True, work_pb2.HALT_REASON_PAUSED)
    assert 0.3 < time.time() - frozen_at < 2
    await work(world, worker, lease)
    await worker.ready()
    world.activity.thaw()
    thawed_at = time.time()
    await worker.heard("lease")
    assert time.time() - thawed_at > 0.65
    # It resumed where it was; there was no second snapshot.
    assert world.activity.cursors[0] == ""
    assert all(world.activity.cursors[1:])


async def test_a_cut_watch_resumes_by_cursor_and_misses_nothing(world: World) -> None:
    one, two = await world.people(2)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    await worker.heard("lease")
    await world.activity.cut()
    await world.activity.wake(two, at=NIGHT.timestamp())
    halt = await worker.heard("halt")
    assert [user.user_id for user in halt.users] == [two.bytes]
    assert halt.reason == work_pb2.HALT_REASON_WOKE
    await world.activity.wake(one, at=NIGHT.timestamp())
    assert (await worker.heard("halt")).users[0].user_id == one.bytes


async def test_whoever_activity_may_not_know_is_introduced(world: World) -> None:
    asleep, never_heard_of = await world.people(2)
    del world.activity.sleepers[never_heard_of]
    world.activity.watched_since = NIGHT.timestamp() - 7200
    stub = await world.scheduler()
    async with asyncio.timeout(20):
        while not world.activity.touched:
            await asyncio.sleep(0.02)
    (touch,) = world.activity.touched
    assert (touch.user_id, touch.at) == (never_heard_of.bytes, NIGHT.timestamp() - 7200)
    worker = await world.worker(stub)
    assert users_of(await worker.heard("lease")) == {asleep}


async def test_two_schedulers_never_lease_the_same_job_and_each_halts_its_own(
    world: World,
) -> None:
    people = await world.people(80)
    stubs = [await world.scheduler(batch_analyze=10) for _ in range(2)]
    workers = [await world.worker(stub, f"w{n}", [ANALYZE]) for n, stub in enumerate(stubs)]
    seen: list[UserId] = []
    held: dict[UserId, ScriptedWorker] = {}
    for round_ in range(4):
        for worker in workers:
            lease = await worker.heard("lease")
            seen += users_of(lease)
            if round_ < 3:
                await work(world, worker, lease)
                await worker.send(ready=work_pb2.Ready())
            else:
                held |= dict.fromkeys(users_of(lease), worker)
    assert len(seen) == len(set(seen)) == len(people)
    assert len(held) == 20
    await world.activity.wake(*held, at=NIGHT.timestamp())
    halted: dict[UserId, ScriptedWorker] = {}
    for worker in workers:
        halt = await worker.heard("halt")
        halted |= {user_id_from_bytes(user.user_id): worker for user in halt.users}
    assert halted == held


async def still_asleep(world: World, user: UserId) -> bool:
    query = "SELECT count(asleep_since) FROM scheduler.jobs WHERE user_id = $1"
    return bool(await world.admin.fetchval(query, user))


async def test_a_stalled_database_delays_no_halt(world: World) -> None:
    *some, _ = await world.people(5)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    await worker.heard("lease")
    delays = []
    async with world.admin.transaction():
        await world.admin.execute("LOCK TABLE scheduler.jobs")
        for one in some:
            touched_at = await world.activity.wake(one, at=NIGHT.timestamp())
            halt = await worker.heard("halt")
            assert halt.users[0].user_id == one.bytes
            delays.append(worker.received_at["halt"] - touched_at)
            assert await still_asleep(world, one)
    # Whatever is asked of the database is given up after 250 ms, not before.
    assert min(delays) < 0.1
    async with asyncio.timeout(20):
        while await still_asleep(world, one):
            await asyncio.sleep(0.02)


async def test_lost_connections_lose_no_wake(world: World) -> None:
    one, two = await world.people(2)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    lease = await worker.heard("lease")
    await world.admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'eros-scheduler' AND datname = current_database()"
    )
    await world.activity.wake(one, at=NIGHT.timestamp())
    assert (await worker.heard("halt")).users[0].user_id == one.bytes
    async with asyncio.timeout(20):
        while await still_asleep(world, one):
            await asyncio.sleep(0.02)
    assert await work(world, worker, lease) == {one, two}
    await worker.ready()
    assert users_of(await worker.heard("lease")) == {two}


# ---- who may speak, and how


async def test_an_older_worker_is_refused_with_a_word_on_what_to_do(world: World) -> None:
    stub = await world.scheduler()
    worker = world.stranger(stub, "old", version=0)
    await worker.hello()
    error = await worker.failed()
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "update the worker" in (error.details() or "")


async def test_a_stream_begins_with_hello_and_says_it_once(world: World) -> None:
    stub = await world.scheduler()
    silent = world.stranger(stub, "silent")
    await silent.send(ready=work_pb2.Ready())
    silent._reader = asyncio.create_task(silent._read())
    assert (await silent.failed()).code() is grpc.StatusCode.INVALID_ARGUMENT

    twice = world.stranger(stub, "twice")
    await twice.hello()
    await twice.heard("welcome")
    await twice.send(hello=work_pb2.Hello(worker_id="twice", protocol_version=1))
    assert (await twice.failed()).code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("caller", ["matcher", "operator", None])
async def test_only_workers_may_work(world: World, caller: str | None) -> None:
    stub = await world.scheduler()
    metadata = world.metadata(caller) if caller else None
    worker = world.stranger(stub, "w", metadata=metadata)
    worker._reader = asyncio.create_task(worker._read())
    code = (await worker.failed()).code()
    assert code in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}


async def test_a_worker_hears_something_all_the_time(world: World) -> None:
    worker = await world.worker(await world.scheduler())
    begun = time.monotonic()
    for _ in range(5):
        await worker.heard("alive")
    assert time.monotonic() - begun < 2


async def test_a_second_stream_ends_the_first(world: World) -> None:
    stub = await world.scheduler()
    first = await world.worker(stub, "w1")
    await world.worker(stub, "w1")
    await first.ended()


async def test_a_worker_that_has_nothing_more_to_say_is_let_go(world: World) -> None:
    stub = await world.scheduler()
    worker = await world.worker(stub)
    await worker.say_no_more()
    await worker.ended()
    overview = await stub.GetOverview(
        scheduler_pb2.GetOverviewRequest(), metadata=world.metadata("operator")
    )
    assert not overview.workers


async def test_a_stopping_scheduler_drains_its_workers(world: World) -> None:
    await world.people(3)
    stub, service = await world.scheduler_and_service()
    worker = await world.worker(stub)
    await worker.heard("lease")
    closing = asyncio.create_task(service.aclose())
    drain = await worker.heard("drain")
    assert drain.grace_seconds > 0
    begun = time.monotonic()
    await worker.say_no_more()
    await worker.ended()
    await closing
    assert time.monotonic() - begun < 3.5  # the grace is 4


# ---- what people look at


async def test_the_overview_and_the_jobs_say_how_things_stand(world: World) -> None:
    people = await world.people(30)
    stub = await world.scheduler()
    worker = await world.worker(stub)
    await worker.heard("lease")
    await worker.send(status=work_pb2.WorkerStatus(cpu=0.04, cpu_cap=0.05, rows_running=20))
    operator = world.metadata("operator")
    async with asyncio.timeout(20):
        while True:
            overview = await stub.GetOverview(scheduler_pb2.GetOverviewRequest(), metadata=operator)
            if overview.workers[0].cpu and overview.kinds[0].running == 20:
                break
            await asyncio.sleep(0.05)
    assert list(overview.people_by_phase) == [0, 0, 0, 30]
    assert overview.workers[0].worker_id == "w1"
    assert overview.workers[0].batch_size == 20
    assert overview.kinds[0].ready == 10
    assert abs(overview.night_now.ToSeconds() - NIGHT.timestamp()) < 60

    leased = await stub.ListJobs(
        scheduler_pb2.ListJobsRequest(state=scheduler_pb2.JOB_STATE_LEASED, limit=50),
        metadata=operator,
    )
    assert {job.owner for job in leased.jobs} == {"w1"}
    assert len(leased.jobs) == 20
    mine = await stub.ListJobs(
        scheduler_pb2.ListJobsRequest(user_id=people[0].bytes), metadata=operator
    )
    assert [job.kind for job in mine.jobs] == [1, 2, 3, 4]
    assert {job.zone for job in mine.jobs} == {"Europe/Berlin"}
    assert mine.jobs[0].HasField("asleep_since")


async def test_an_operator_explains_cancels_and_retries(world: World) -> None:
    people = await world.people(3)
    stub = await world.scheduler()
    operator = world.metadata("operator")
    worker = await world.worker(stub)
    one = jobs_of(await worker.heard("lease"))[0].user_id
    assert one in people
    asked = scheduler_pb2.ExplainJobsRequest(user_id=one.bytes)

    found = await stub.ExplainJobs(asked, metadata=operator)
    assert {each.job.kind: each.standing for each in found.jobs} == {
        1: scheduler_pb2.JOB_STANDING_RUNNING,
        2: scheduler_pb2.JOB_STANDING_BEHIND_ANOTHER,
        3: scheduler_pb2.JOB_STANDING_BEHIND_ANOTHER,
        4: scheduler_pb2.JOB_STANDING_NOT_DUE,
    }
    (entry,) = found.history
    assert (entry.event, entry.worker_id, entry.phase) == (1, "w1", 1)

    cancelled = await stub.CancelJobs(
        scheduler_pb2.CancelJobsRequest(
            user_id=one.bytes, kind=work_pb2.JOB_KIND_ANALYZE, reason="looks wrong"
        ),
        metadata=operator,
    )
    assert cancelled.cancelled == 1
    halt = await worker.heard("halt")
    assert [user.user_id for user in halt.users] == [one.bytes]
    assert halt.reason == work_pb2.HALT_REASON_FENCED
    found = await stub.ExplainJobs(asked, metadata=operator)
    analyze = next(each for each in found.jobs if each.job.kind == 1)
    assert analyze.standing == scheduler_pb2.JOB_STANDING_DEAD
    assert "cancelled: looks wrong" in analyze.why
    assert found.history[0].event == scheduler_pb2.JOB_EVENT_CANCELLED

    retry = scheduler_pb2.RetryJobsRequest(user_id=one.bytes)
    assert (await stub.RetryJobs(retry, metadata=operator)).retried == 1
    found = await stub.ExplainJobs(asked, metadata=operator)
    assert found.history[0].event == scheduler_pb2.JOB_EVENT_RETRIED


@pytest.mark.parametrize("caller", ["worker", "gateway"])
async def test_only_an_operator_may_cancel(world: World, caller: str) -> None:
    stub = await world.scheduler()
    request = scheduler_pb2.CancelJobsRequest(user_id=bytes(16), reason="x")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.CancelJobs(request, metadata=world.metadata(caller))
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
