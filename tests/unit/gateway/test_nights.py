"""What several schedulers tell, as one night; and where they are."""

from __future__ import annotations

import socket

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from eros.scheduler.v1 import scheduler_pb2 as pb
from eros.scheduler.v1 import work_pb2
from eros_common.each_address import resolver
from eros_gateway.domain.nights import merged

MATCH, LEARN = work_pb2.JOB_KIND_MATCH, work_pb2.JOB_KIND_LEARN


def told(night: int, **fields: object) -> pb.GetOverviewResponse:
    return pb.GetOverviewResponse(night_now=Timestamp(seconds=night), **fields)  # type: ignore[arg-type]


def test_counts_of_rows_are_the_newest_and_tallies_are_summed() -> None:
    one = told(
        10,
        workers=[pb.WorkerOverview(worker_id="b")],
        kinds=[
            pb.KindOverview(
                kind=MATCH, ready=9, done=6, failed=2, batches=3, mean_seconds=1, success_rate=0.75
            ),
            pb.KindOverview(kind=LEARN, success_rate=1),
        ],
        halts=4,
        people_by_phase=[1, 2, 3, 4],
    )
    other = told(
        11,
        workers=[pb.WorkerOverview(worker_id="a")],
        kinds=[
            pb.KindOverview(kind=MATCH, ready=5, done=2, batches=1, mean_seconds=5, success_rate=1),
            pb.KindOverview(kind=LEARN, success_rate=1),
        ],
        halts=1,
        people_by_phase=[4, 3, 2, 1],
    )
    for order in ([one, other], [other, one]):
        whole = merged(order)
        assert [worker.worker_id for worker in whole.workers] == ["a", "b"]
        assert (whole.halts, list(whole.people_by_phase)) == (5, [4, 3, 2, 1])
        match, learn = whole.kinds
        assert (match.ready, match.done, match.failed, match.batches) == (5, 8, 2, 4)
        assert (match.mean_seconds, match.success_rate) == (2.0, 0.8)
        assert (learn.mean_seconds, learn.success_rate) == (0.0, 1.0)


def test_one_alone_is_as_it_is() -> None:
    one = told(1, kinds=[pb.KindOverview(kind=MATCH, mean_seconds=3, success_rate=0.5)])
    assert merged([one]) == one


def test_a_pause_of_any_is_told_until_the_last_ends() -> None:
    paused = told(1, pause_reason="blind", paused_until=Timestamp(seconds=50))
    longer = told(2, pause_reason="silent", paused_until=Timestamp(seconds=60))
    whole = merged([told(3), paused, longer])
    assert (whole.pause_reason, whole.paused_until.seconds) == ("blind", 60)


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        ("127.0.0.1:50053", ["127.0.0.1:50053"]),
        ("dns:///127.0.0.1:50053", ["127.0.0.1:50053"]),
        ("dns:127.0.0.1:50053", ["127.0.0.1:50053"]),
        ("[::1]:50053", ["[::1]:50053"]),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", ["ipv4:10.0.0.1:1,10.0.0.2:1"]),
        ("unix:/run/scheduler", ["unix:/run/scheduler"]),
    ],
)
async def test_each_address_of_a_target(target: str, addresses: list[str]) -> None:
    assert await resolver(target)() == addresses


async def test_a_name_that_is_not_known_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await resolver("dns:///no.such.name.invalid:1")()
