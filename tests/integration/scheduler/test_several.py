"""Two schedulers, of which each knows its own workers, seen as one night."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from eros.scheduler.v1 import work_pb2
from eros_common.channel import open_channel
from eros_common.each_address import EachAddress
from eros_common.ids import JobToken, user_id_from_bytes
from eros_gateway.front.ports import NightSeen, PartDown
from eros_gateway.front.probes import SchedulerNight
from eros_scheduler.core.model import JobKind
from tests.integration.scheduler.conftest import NIGHT, World


@pytest.fixture
async def night(world: World) -> AsyncIterator[SchedulerNight]:
    async def resolve() -> Sequence[str]:
        return list(world.addresses)

    each = EachAddress(
        resolve,
        lambda address: open_channel(
            address, audience="scheduler", identity=world.identity("gateway"), retry=False
        ),
    )
    yield SchedulerNight(each, 2.0)
    await each.close()


async def _until(night: SchedulerNight, done: int) -> NightSeen:
    async with asyncio.timeout(10):
        while True:
            seen = await night.overview()
            if seen.overview.kinds[0].done >= done:
                return seen
            await asyncio.sleep(0.05)


async def test_workers_and_what_is_done_are_told_of_all_schedulers(
    world: World, night: SchedulerNight
) -> None:
    people = await world.people(30)
    for name, seconds in (("w1", 1.0), ("w2", 3.0)):
        worker = await world.worker(await world.scheduler(), name, kinds=(JobKind.ANALYZE,))
        lease = await worker.heard("lease")
        await worker.send(status=work_pb2.WorkerStatus(cpu=0.04, cpu_cap=0.05))
        done = await world.fences.complete(
            [user_id_from_bytes(job.user_id) for job in lease.leases],
            JobKind(lease.kind),
            [JobToken(job.token) for job in lease.leases],
            [job.next_due_at.ToDatetime(NIGHT.tzinfo) for job in lease.leases],
        )
        await worker.end_batch(lease, [user.bytes for user in done], seconds=seconds)
    seen = await _until(night, len(people))
    assert [worker.worker_id for worker in seen.overview.workers] == ["w1", "w2"]
    assert not seen.silent
    kind = seen.overview.kinds[0]
    assert (kind.done, kind.failed, kind.batches, kind.success_rate) == (len(people), 0, 2, 1.0)
    assert kind.mean_seconds == pytest.approx(2.0)
    assert sum(seen.overview.people_by_phase) == len(people), "rows are counted once"


async def test_a_scheduler_that_is_gone_is_told_and_hides_nobody_else(
    world: World, night: SchedulerNight
) -> None:
    first, _ = await world.scheduler_and_service()
    _, second = await world.scheduler_and_service()
    await world.worker(first, "w1")
    await second.aclose()
    seen = await night.overview()
    assert [worker.worker_id for worker in seen.overview.workers] == ["w1"]
    assert seen.silent.keys() == {world.addresses[1]}
    del world.addresses[1]
    assert not (await night.overview()).silent
    world.addresses.clear()
    with pytest.raises(PartDown):
        await night.overview()
