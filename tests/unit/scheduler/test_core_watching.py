"""Blind means pause."""

from __future__ import annotations

import pytest

from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import HaltReason, OwnedJob
from tests.unit.scheduler.rig import BERLIN, W1, W2, Rig, all_of, none, one, row, users


def test_nothing_is_given_out_before_it_is_known_who_sleeps() -> None:
    rig = Rig(watching=False)
    rig.post(an.ZonesKnown([BERLIN]))
    rig.connect()
    none(do.Claim, rig.ready())
    none(do.Claim, rig.post(ev.SnapshotBegan()))
    one(do.Claim, rig.post(ev.SnapshotEnded(())))


def test_silence_halts_everything_and_leases_nothing_for_a_heartbeat_after_it() -> None:
    rig = Rig(heartbeat_seconds=60)
    rig.lease(row(1), row(2))
    rig.lease(row(3), worker=W2)
    halts = all_of(do.SendHalt, rig.post(ev.WatchSilent()))
    assert [(h.reason, h.everything) for h in halts] == [(HaltReason.PAUSED, True)] * 2
    assert sorted(n for h in halts for n in users(h)) == [1, 2, 3]
    rig.end()
    none(do.Claim, rig.ready())
    rig.pass_time(1000)
    none(do.Claim, rig.post(ev.Ticked()))
    rig.post(ev.WatchBack())
    assert rig.core.alarm(rig.now) == 60
    rig.pass_time(59)
    none(do.Claim, rig.post(ev.Ticked()))
    rig.pass_time(1)
    one(do.Claim, rig.post(ev.AlarmRang()))


def test_hearing_from_activity_is_no_gap() -> None:
    rig = Rig()
    rig.claimed(rig.free())
    rig.post(ev.WatchBack())
    one(do.Claim, rig.post(ev.Ticked()))


def test_activity_asks_for_a_pause() -> None:
    rig = Rig()
    rig.lease(row(1))
    said = rig.post(ev.PauseAsked(rig.wall + 10, "gateway"))
    assert one(do.SendHalt, said).reason is HaltReason.PAUSED
    assert rig.core.state.watch.reason == "gateway"
    rig.end()
    none(do.Claim, rig.ready())
    # A shorter one does not end the longer one; a past one is none.
    rig.post(ev.PauseAsked(rig.wall + 5, "again"))
    rig.post(ev.PauseAsked(rig.wall - 5, "past"))
    rig.pass_time(9)
    none(do.Claim, rig.post(ev.Ticked()))
    rig.pass_time(1)
    one(do.Claim, rig.post(ev.Ticked()))


@pytest.mark.parametrize(
    "event", [ev.WatchSilent(), ev.SnapshotBegan(), ev.PauseAsked(2_000_000.0, "blind")]
)
def test_what_was_claimed_when_it_got_dark_is_given_back(event: ev.Event) -> None:
    rig = Rig()
    claim = rig.free()
    rig.post(event)
    said = rig.claimed(claim, row(1))
    none(do.SendLease, said)
    one(do.Release, said)


def test_a_new_snapshot_stops_everything_until_it_is_in() -> None:
    rig = Rig()
    rig.lease(row(1))
    one(do.SendHalt, rig.post(ev.SnapshotBegan()))


def test_leases_of_people_awake_in_the_snapshot_are_halted() -> None:
    rig = Rig(watching=False)
    rig.post(ev.SnapshotBegan())
    # Their halt as the worker came in blind is on its way already.
    one(do.SendHalt, rig.connect(W1, row(1)))
    none(do.SendHalt, rig.post(ev.SnapshotEnded([OwnedJob(row(1).job, W1)])))


def test_the_tick_takes_expired_leases_and_learns_zones() -> None:
    said = Rig().post(ev.Ticked())
    one(do.TakeExpired, said)
    one(do.LoadZones, said)


def test_there_is_an_alarm_for_the_next_boundary_at_the_rate_of_the_night() -> None:
    rig = Rig(night_rate=100.0)
    # 05:30 in Berlin; at 07:00 the window closes.
    assert rig.core.alarm(rig.now) == pytest.approx(54.0)
    assert Rig(watching=False).core.alarm(rig.now) is not None


def test_a_pause_lasts_no_longer_than_pauses_do() -> None:
    rig = Rig(heartbeat_seconds=60)
    rig.connect(W1)
    # By a clock that is ahead.
    rig.post(ev.PauseAsked(rig.wall + 8 * 3600, "nobody watched"))
    rig.pass_time(119)
    none(do.Claim, rig.ready())
    rig.pass_time(1)
    one(do.Claim, rig.post(ev.Ticked()))
