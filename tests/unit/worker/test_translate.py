"""Messages of the stream and what they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from eros.scheduler.v1 import work_pb2 as pb
from eros_common.ids import BatchId, JobToken
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker import translate
from eros_matcher.worker.jobs import HaltReason, Held, JobKind
from tests.unit.worker.batches import user


def sent(instruction: translate.Outgoing) -> pb.WorkRequest:
    message = translate.message_of(instruction, worker_id="w1", kinds=(JobKind.MATCH,))
    return pb.WorkRequest.FromString(message.SerializeToString())


def test_a_lease() -> None:
    message = pb.WorkResponse()
    lease = message.lease
    lease.batch_id, lease.kind, lease.cpu_cap = "b9", pb.JOB_KIND_SCORE, 0.15
    lease.lease_until.FromDatetime(datetime(2026, 11, 24, 1, 0, 30, tzinfo=UTC))
    lease.night_now.FromDatetime(datetime(2026, 11, 24, 4, 0, tzinfo=UTC))
    job = lease.leases.add(user_id=user(3).bytes, token=12, list_date="2026-11-24")
    job.next_due_at.FromDatetime(datetime(2026, 11, 24, 22, 0, tzinfo=UTC))
    lease.leases.add(user_id=user(4).bytes, token=1, list_date="2026-11-25")

    event = translate.event_of(message, at=5.0)
    assert isinstance(event, ev.Leased)
    assert (event.at, event.batch.batch_id, event.batch.kind) == (5.0, "b9", JobKind.SCORE)
    assert event.lease_until == datetime(2026, 11, 24, 1, 0, 30, tzinfo=UTC).timestamp()
    first, _ = event.batch.leases
    assert (first.user_id, first.token) == (user(3), 12)
    assert (first.next_due_at.hour, first.list_date) == (22, date(2026, 11, 24))


def test_a_lease_lasts_as_long_by_a_clock_that_is_ahead() -> None:
    lease = pb.LeaseBatch(batch_id="b", kind=pb.JOB_KIND_MATCH, lease_seconds=30.0)
    renewed = pb.Renewed(batch_id="b", lease_seconds=30.0)
    for each in (lease, renewed):
        each.lease_until.FromSeconds(1000)
    event = translate.event_of(pb.WorkResponse(lease=lease), at=1040.0)
    assert isinstance(event, ev.Leased)
    assert event.lease_until == 1070.0
    event = translate.event_of(pb.WorkResponse(renewed=renewed), at=1050.0)
    assert event == ev.Renewed(BatchId("b"), 1080.0)


def test_halts_drains_and_what_is_kept() -> None:
    woke = pb.WorkResponse(
        halt=pb.HaltBatch(
            nonce="n",
            users=[pb.HaltedUser(user_id=user(1).bytes, touched_at=4.9)],
            reason=pb.HALT_REASON_WOKE,
        )
    )
    assert translate.event_of(woke, at=5.0) == ev.HaltAsked(5.0, "n", (user(1),), HaltReason.WOKE)
    everything = pb.WorkResponse(
        halt=pb.HaltBatch(nonce="m", all=True, reason=pb.HALT_REASON_PAUSED)
    )
    assert translate.event_of(everything, at=5.0) == ev.HaltAsked(5.0, "m", None, HaltReason.PAUSED)
    drain = pb.WorkResponse(drain=pb.Drain(grace_seconds=3))
    assert translate.event_of(drain, at=5.0) == ev.DrainAsked(5.0, leaving=False)
    welcome = pb.WorkResponse(
        welcome=pb.Welcome(
            kept=[pb.HeldJob(user_id=user(1).bytes, kind=pb.JOB_KIND_MATCH, token=7)]
        )
    )
    assert translate.event_of(welcome, at=5.0) == ev.Welcomed(
        frozenset({Held(user(1), JobKind.MATCH, JobToken(7))})
    )
    assert translate.event_of(pb.WorkResponse(alive=pb.Alive()), at=5.0) is None


@pytest.mark.parametrize(
    "message",
    [
        pb.WorkResponse(),
        pb.WorkResponse(halt=pb.HaltBatch(nonce="n", users=[pb.HaltedUser(user_id=b"short")])),
        pb.WorkResponse(lease=pb.LeaseBatch(batch_id="b")),
        pb.WorkResponse(halt=pb.HaltBatch(nonce="n", all=True)),
    ],
)
def test_what_no_scheduler_sends_is_refused(message: pb.WorkResponse) -> None:
    with pytest.raises(ValueError, match=r"."):
        translate.event_of(message, at=5.0)


@pytest.mark.parametrize("reason", [reason for reason in HaltReason if reason < 100])
def test_every_reason_has_the_number_of_the_protocol(reason: HaltReason) -> None:
    number = pb.HaltReason.ValueType(reason)
    assert pb.HaltReason.Name(number) == f"HALT_REASON_{reason.name}"


def test_the_hello_says_all_that_is_held() -> None:
    hello = sent(do.SendHello((Held(user(1), JobKind.MATCH, JobToken(7)),))).hello
    assert (hello.worker_id, hello.protocol_version) == ("w1", translate.PROTOCOL_VERSION)
    assert list(hello.kinds) == [pb.JOB_KIND_MATCH]
    assert [(job.user_id, job.token) for job in hello.held] == [(user(1).bytes, 7)]


def test_an_ack_carries_both_times() -> None:
    acked = do.Acked(user(1), JobKind.MATCH, JobToken(8), 5.02, 5.0, killed=True, was_running=True)
    stranger = do.Acked(user(2), None, JobToken(0), 5.0, 5.0, killed=False, was_running=False)
    ack = sent(do.SendAck("n", (acked,), (stranger,))).halt_ack
    (durable,) = ack.durable
    assert (durable.at, durable.received_at, durable.token) == (5.02, 5.0, 8)
    assert durable.killed
    assert durable.was_running
    assert ack.left[0].kind == pb.JOB_KIND_UNSPECIFIED


def test_reports_renewals_and_readiness() -> None:
    end = sent(
        do.SendEnd(BatchId("b"), (user(1),), ((user(2), "why"),), (user(3),), 2.0, 1.5)
    ).batch_end
    assert (list(end.completed), list(end.lost)) == ([user(1).bytes], [user(3).bytes])
    assert (end.failed[0].user_id, end.failed[0].error) == (user(2).bytes, "why")
    assert (end.seconds, end.cpu_seconds) == (2.0, 1.5)
    told = do.SendEnd(BatchId("b"), (), ((user(1), "é" * 20_000),) * 250, (), 2.0, 1.5)
    assert sent(told).ByteSize() < 1 << 20
    assert sent(do.SendRenew(BatchId("b"))).renew.batch_id == "b"
    assert sent(do.SendReady()).WhichOneof("message") == "ready"
