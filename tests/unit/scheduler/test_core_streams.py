"""Workers that come back with what they hold, and workers that speak twice."""

from __future__ import annotations

from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import RULES, HaltReason, JobKind
from tests.unit.scheduler.rig import NEVER, W1, W2, Rig, all_of, none, one, person, row, users


def test_a_worker_with_nothing_is_welcome_at_once() -> None:
    welcome = one(do.SendWelcome, Rig().connect())
    assert welcome.kept == ()


def test_a_worker_with_jobs_waits_until_they_are_looked_up() -> None:
    rig = Rig()
    said = rig.connect(W1, row(1), row(2))
    none(do.SendWelcome, said)
    verify = one(do.Verify, said)
    assert verify.jobs == (row(1).job, row(2).job)
    said = rig.post(an.Verified(W1, rig.session(), verify.jobs, [row(1)]))
    assert one(do.SendWelcome, said).kept == (row(1).job,)
    halt = one(do.SendHalt, said)
    assert (users(halt), halt.reason) == ([2], HaltReason.FENCED)
    # What it kept is halted like anything else.
    assert users(one(do.SendHalt, rig.wake(1))) == [1]


def test_a_halt_does_not_wait_for_the_lookup() -> None:
    rig = Rig()
    said = rig.connect(W1, row(1), row(2))
    assert users(one(do.SendHalt, rig.wake(2))) == [2]
    verify = one(do.Verify, said)
    said = rig.post(an.Verified(W1, rig.session(), verify.jobs, [row(1), row(2, awake=True)]))
    none(do.SendHalt, said)


def test_whoever_woke_before_the_worker_came_is_halted() -> None:
    rig = Rig()
    rig.wake(1)
    assert users(one(do.SendHalt, rig.connect(W1, row(1), row(2)))) == [1]
    verify = rig.connect(W2, row(3))
    said = rig.post(
        an.Verified(W2, rig.session(W2), one(do.Verify, verify).jobs, [row(3, awake=True)])
    )
    assert (users(one(do.SendHalt, said))) == [3]


def test_a_worker_that_comes_back_while_blind_is_halted() -> None:
    rig = Rig()
    rig.post(ev.WatchSilent())
    halt = one(do.SendHalt, rig.connect(W1, row(1)))
    assert (halt.reason, halt.everything) == (HaltReason.PAUSED, True)


def test_what_may_no_longer_run_when_it_comes_back_is_halted() -> None:
    rig = Rig()
    rig.pass_time(3600 * 4)
    verify = one(do.Verify, rig.connect(W1, row(1, solo_at=NEVER)))
    said = rig.post(an.Verified(W1, rig.session(), verify.jobs, [row(1)]))
    assert one(do.SendHalt, said).reason is HaltReason.WINDOW


def test_a_second_stream_of_a_worker_ends_the_first() -> None:
    rig = Rig()
    lease = rig.lease(row(1))
    said = rig.connect(W1, row(1))
    assert one(do.EndStream, said).session == lease.session
    # The first has nothing more to say.
    assert rig.post(ev.WorkerReady(W1, lease.session)) == []
    assert rig.post(ev.WorkerGone(W1, lease.session)) == []
    assert W1 in rig.core.state.workers


def test_a_worker_that_is_ready_holds_nothing() -> None:
    rig = Rig()
    rig.lease(row(1), row(2))
    said = rig.ready()
    assert len(one(do.Release, said).jobs) == 2
    one(do.Claim, said)
    none(do.SendHalt, rig.wake(1))


def test_what_a_lost_worker_held_is_left_to_its_lease() -> None:
    rig = Rig()
    rig.lease(row(1))
    assert rig.post(ev.WorkerGone(W1, rig.session())) == []
    none(do.SendHalt, rig.wake(1))


def test_a_batch_is_counted_and_shown() -> None:
    rig = Rig()
    rig.lease(row(1), row(2))
    worker = rig.core.state.workers[W1]
    assert (worker.kind, worker.batch_size) == (JobKind.MATCH, 2)
    rig.post(ev.WorkerStatus(W1, rig.session(), 0.9, 0.95))
    rig.post(ev.BatchEnded(W1, rig.session(), worker.batch_id or "", 1, 1, 3.0))  # type: ignore[arg-type]
    assert (worker.kind, worker.batch_size, worker.batches_done, worker.cpu) == (None, 0, 1, 0.9)
    tally = rig.core.state.tally[JobKind.MATCH]
    assert (tally.done, tally.failed, tally.batch_seconds) == (1, 1, 3.0)


def test_kinds_of_a_newer_worker_are_kept_from_nobody() -> None:
    rig = Rig(rules={kind: RULES[kind] for kind in (JobKind.ANALYZE, JobKind.MATCH)})
    verify = one(do.Verify, rig.connect(W1, row(1, JobKind.LEARN)))
    said = rig.post(an.Verified(W1, rig.session(), verify.jobs, [row(1, JobKind.LEARN)]))
    assert [users(h) for h in all_of(do.SendHalt, said)] == [[1]]
    assert rig.end() == []
    assert person(1) not in rig.core.state.workers[W1].leases
