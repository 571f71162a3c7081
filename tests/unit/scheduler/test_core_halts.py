"""Halts: at once, once, for every reason there is, and on the record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import (
    HaltReason,
    HeldJob,
    JobKind,
    OwnedJob,
    TransitionKind,
)
from tests.unit.scheduler.rig import ALWAYS, W1, W2, Rig, all_of, none, one, person, row, users


def test_whoever_wakes_is_halted_by_the_same_event_before_anything_else() -> None:
    rig = Rig()
    lease = rig.lease(row(1), row(2), row(3))
    said = rig.wake(2, 9)
    halt = said[0]
    assert isinstance(halt, do.SendHalt)
    assert users(halt) == [2]
    assert halt.users[0][1] == rig.wall - 0.005
    assert (halt.session, halt.reason, halt.everything) == (
        lease.session,
        HaltReason.WOKE,
        False,
    )
    assert [t.user_id for t in one(do.Project, said).transitions] == [person(2), person(9)]


def test_a_halt_is_not_said_twice() -> None:
    rig = Rig()
    rig.lease(row(1))
    one(do.SendHalt, rig.wake(1))
    none(do.SendHalt, rig.wake(1))
    none(do.SendHalt, rig.post(ev.WatchSilent()))


def test_falling_asleep_halts_nobody() -> None:
    rig = Rig()
    rig.lease(row(1))
    none(do.SendHalt, rig.move(TransitionKind.ASLEEP, 1))


def test_the_forgotten_are_not_worked_on() -> None:
    rig = Rig()
    rig.lease(row(1))
    said = rig.move(TransitionKind.FORGOTTEN, 1)
    assert users(one(do.SendHalt, said)) == [1]
    (transition,) = one(do.Project, said).transitions
    assert transition.at == rig.night


def test_each_worker_is_told_of_its_own() -> None:
    rig = Rig()
    first = rig.lease(row(1), row(2), worker=W1)
    second = rig.lease(row(3), worker=W2)
    halts = all_of(do.SendHalt, rig.wake(1, 2, 3))
    assert {(h.session, tuple(users(h))) for h in halts} == {
        (first.session, (1, 2)),
        (second.session, (3,)),
    }
    assert len({halt.nonce for halt in halts}) == 2


def test_a_halt_is_recorded_with_its_legs_once_durable_and_left() -> None:
    rig = Rig()
    rig.lease(row(1, JobKind.SCORE))
    halt = one(do.SendHalt, rig.wake(1))
    rig.post(ev.HaltSent(halt.nonce, rig.wall + 0.0005))
    assert rig.ack(halt, left=False) == []
    record = one(do.RecordHalt, rig.ack(halt, durable=False)).record
    assert (record.user_id, record.kind, record.worker) == (person(1), JobKind.SCORE, W1)
    assert record.reason is HaltReason.WOKE
    legs = (
        record.touched_at,
        record.event_at,
        record.dispatched_at,
        record.received_at,
        record.durable_at,
        record.left_at,
    )
    wall = rig.wall
    assert legs == (
        wall - 0.005,
        wall - 0.001,
        wall + 0.0005,
        wall + 0.001,
        wall + 0.01,
        wall + 0.01,
    )
    assert rig.core.state.halted == 1
    assert not rig.core.state.halts


def test_acks_may_come_in_the_other_order() -> None:
    rig = Rig()
    rig.lease(row(1))
    halt = one(do.SendHalt, rig.wake(1))
    assert rig.ack(halt, durable=False) == []
    one(do.RecordHalt, rig.ack(halt, left=False))


def test_what_had_ended_before_is_no_halt() -> None:
    rig = Rig()
    rig.lease(row(1))
    halt = one(do.SendHalt, rig.wake(1))
    none(do.RecordHalt, rig.ack(halt, running=False))
    assert not rig.core.state.halts
    assert rig.core.state.halted == 0


def test_a_lost_stream_leaves_an_open_record() -> None:
    rig = Rig()
    rig.lease(row(1))
    one(do.SendHalt, rig.wake(1))
    record = one(do.RecordHalt, rig.post(ev.WorkerGone(W1, rig.session()))).record
    assert (record.durable_at, record.left_at) == (None, None)


def test_unknown_nonces_are_nobodys() -> None:
    rig = Rig()
    assert rig.post(ev.HaltAcked("x-1", (), ())) == []
    assert rig.post(ev.HaltSent("x-1", 1.0)) == []


# ---- the window


@pytest.mark.parametrize("event", [ev.AlarmRang(), ev.Ticked(), ev.WatchBack()])
def test_the_closing_window_halts_whom_it_holds_back(event: ev.Event) -> None:
    rig = Rig(night=datetime(2026, 1, 2, 5, 59, 30, tzinfo=UTC))
    rig.lease(row(1), row(2, solo_at=ALWAYS), row(3))
    assert rig.core.alarm(rig.now) == 30
    rig.pass_time(30)
    halt = one(do.SendHalt, rig.post(event))
    assert (users(halt), halt.reason) == ([1, 3], HaltReason.WINDOW)


def test_whoever_becomes_free_of_the_window_in_time_goes_on() -> None:
    rig = Rig(night=datetime(2026, 1, 2, 5, 59, 30, tzinfo=UTC))
    rig.lease(row(1, solo_at=datetime(2026, 1, 2, 5, 59, 45, tzinfo=UTC)))
    rig.pass_time(30)
    none(do.SendHalt, rig.post(ev.AlarmRang()))


# ---- the truth of the job rows


def test_the_rows_name_a_lease_and_it_is_halted() -> None:
    rig = Rig()
    rig.lease(row(1, token=4))
    owned = OwnedJob(row(1, token=4).job, W1)
    elsewhere = OwnedJob(row(5).job, W2)
    halt = one(do.SendHalt, rig.post(an.WakesApplied((), [owned, elsewhere])))
    assert users(halt) == [1]


def test_an_older_lease_in_the_rows_is_not_this_one() -> None:
    rig = Rig()
    rig.lease(row(1, token=4))
    older = OwnedJob(row(1, token=3).job, W1)
    other_kind = OwnedJob(row(1, JobKind.SCORE, token=4).job, W1)
    none(do.SendHalt, rig.post(an.WakesApplied((), [older, other_kind])))


def test_an_expired_lease_is_fenced_where_it_was_given() -> None:
    rig = Rig()
    rig.lease(row(1, token=4))
    halt = one(do.SendHalt, rig.post(an.LeasesTaken([OwnedJob(row(1, token=4).job, W1)])))
    assert halt.reason is HaltReason.FENCED
    # Another worker may have it before the first one has noticed; both hear of a wake.
    rig.lease(row(1, token=6), worker=W2)
    assert users(one(do.SendHalt, rig.wake(1))) == [1]


def test_a_renewal_shows_what_is_lost_and_who_is_awake() -> None:
    rig = Rig()
    lease = rig.lease(row(1), row(2), row(3))
    renew = one(do.RenewLease, rig.post(ev.RenewAsked(W1, rig.session(), lease.batch_id)))
    assert len(renew.jobs) == 3
    said = rig.post(
        an.LeaseRenewed(
            W1, rig.session(), lease.batch_id, renew.jobs, [row(1), row(3, awake=True)], 1234.5
        )
    )
    assert one(do.SendRenewed, said).lease_until == 1234.5
    assert {(h.reason, tuple(users(h))) for h in all_of(do.SendHalt, said)} == {
        (HaltReason.FENCED, (2,)),
        (HaltReason.WOKE, (3,)),
    }


def test_what_is_being_halted_is_not_renewed() -> None:
    rig = Rig()
    lease = rig.lease(row(1), row(2))
    rig.wake(1)
    renew = one(do.RenewLease, rig.post(ev.RenewAsked(W1, rig.session(), lease.batch_id)))
    assert renew.jobs == (HeldJob(person(2), JobKind.MATCH, row(2).token),)
