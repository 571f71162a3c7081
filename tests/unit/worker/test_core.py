"""The worker's mind, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eros_common.ids import BatchId, JobToken, UserId
from eros_matcher.worker import events as ev
from eros_matcher.worker import instructions as do
from eros_matcher.worker.core import DEATHS_MOST, WorkerCore
from eros_matcher.worker.flight import Stage
from eros_matcher.worker.jobs import HaltReason, Held, JobKind, LeasedBatch, PreparedBatch
from eros_matcher.worker.results import SETTLE_AT, SETTLE_MOST
from tests.unit.worker.batches import batch, prepared, user

T = TypeVar("T")
NONE_KEPT: frozenset[Held] = frozenset()


def of(kind: type[T], instructions: Iterable[do.Instruction]) -> list[T]:
    return [found for found in instructions if isinstance(found, kind)]


def one(kind: type[T], instructions: Iterable[do.Instruction]) -> T:
    (found,) = of(kind, instructions)
    return found


def connected() -> WorkerCore:
    core = WorkerCore()
    assert core.handle(ev.Connected()) == [do.SendHello(())]
    assert core.handle(ev.Welcomed(NONE_KEPT)) == [do.SendReady()]
    return core


def running(rows: int = 3, *, lease_until: float = 130.0) -> WorkerCore:
    core = connected()
    leased = batch(rows)
    assert core.handle(ev.Leased(100.0, lease_until, leased)) == [do.Prepare(leased)]
    instructions = core.handle(ev.Prepared(leased.batch_id, 100.1, prepared(leased)))
    assert one(do.Offer, instructions).cpu_cap == 0.95
    return core


def done(core: WorkerCore, *rows: int, at: float = 101.0) -> list[do.Instruction]:
    return core.handle(ev.RowsOut(at, [(user(row), ev.Out.DONE, b"result") for row in rows]))


def held(row: int, *, token: int = 7) -> Held:
    return Held(user(row), JobKind.MATCH, JobToken(token))


def halt(
    core: WorkerCore, *rows: int, nonce: str = "n1", at: float = 101.0
) -> list[do.Instruction]:
    users = tuple(user(row) for row in rows)
    return core.handle(ev.HaltAsked(at, nonce, users, HaltReason.WOKE))


def durable(core: WorkerCore, *rows: int, at: float = 101.02) -> list[do.Instruction]:
    jobs = [held(row) for row in rows]
    return core.handle(ev.Checkpointed(at, jobs, {job: JobToken(8) for job in jobs}))


def settled(core: WorkerCore, *rows: int, at: float = 102.0) -> list[do.Instruction]:
    users = [user(row) for row in rows]
    return core.handle(ev.Settled(at, users, frozenset(users), frozenset()))


def closed(core: WorkerCore, error: str = "", at: float = 103.0) -> list[do.Instruction]:
    return core.handle(ev.BatchClosed(at, error, 0.5))


def test_a_batch_goes_from_lease_to_report_and_the_worker_asks_for_more() -> None:
    core = running()
    assert done(core, 0) == []
    settle = one(do.Settle, done(core, 1, 2))
    assert [row.lease.user_id for row in settle.results] == [user(0), user(1), user(2)]
    assert closed(core) == []
    report, ready = settled(core, 0, 1, 2, at=104.0)
    assert report == do.SendEnd(
        BatchId("b1"), (user(0), user(1), user(2)), (), (), 104.0 - 100.0, 0.5
    )
    assert ready == do.SendReady()


def test_a_halt_masks_first_and_is_acknowledged_twice() -> None:
    core = running()
    mask, checkpoint = halt(core, 1)
    assert mask == do.Mask((user(1),))
    assert isinstance(checkpoint, do.Checkpoint)
    assert checkpoint.computed == {user(1)}

    ack = one(do.SendAck, durable(core, 1))
    assert [(acked.user_id, acked.token, acked.at) for acked in ack.durable] == [
        (user(1), 8, 101.02)
    ]
    assert (ack.durable[0].received_at, ack.durable[0].was_running) == (101.0, True)

    left = one(do.SendAck, core.handle(ev.RowsLeft(101.005, (user(1),))))
    assert [(acked.user_id, acked.killed) for acked in left.left] == [(user(1), False)]
    # The child's own word comes later and is no news.
    assert core.handle(ev.RowsOut(101.1, [(user(1), ev.Out.LEFT, b"")])) == []


def test_the_others_go_on_and_the_halted_row_is_not_in_the_report() -> None:
    core = running()
    halt(core, 1)
    durable(core, 1)
    core.handle(ev.RowsLeft(101.03, (user(1),)))
    one(do.Settle, done(core, 0, 2))
    closed(core)
    report = one(do.SendEnd, settled(core, 0, 2))
    assert report.completed == (user(0), user(2))
    assert report.lost == ()


def test_not_left_in_time_the_child_is_killed_once_and_the_others_go_on() -> None:
    core = running()
    halt(core, 1)
    assert core.handle(ev.Overstayed()) == [do.KillChild()]
    assert core.handle(ev.Overstayed()) == []
    start, ack = core.handle(ev.ChildDied(101.2, -9))
    assert start == do.StartChild()
    assert isinstance(ack, do.SendAck)
    assert [(acked.user_id, acked.killed, acked.at) for acked in ack.left] == [
        (user(1), True, 101.2)
    ]
    # A later halt of a row that the new child has must be watched again.
    assert one(do.Mask, halt(core, 0, nonce="n2")) == do.Mask((user(0),))


def test_a_result_that_is_not_being_committed_yet_gives_way_to_the_halt() -> None:
    core = running()
    done(core, 0)
    instructions = halt(core, 0)
    assert of(do.Mask, instructions) == []
    assert one(do.Checkpoint, instructions).computed == {user(0)}
    ack = one(do.SendAck, instructions)
    assert [acked.user_id for acked in ack.left] == [user(0)]


def test_a_halt_during_the_commit_waits_for_it_and_learns_that_the_job_had_ended() -> None:
    core = running()
    one(do.Settle, done(core, 0, 1, 2))
    instructions = halt(core, 0)
    assert of(do.Checkpoint, instructions) == []
    assert [acked.user_id for acked in one(do.SendAck, instructions).left] == [user(0)]
    ack = one(do.SendAck, settled(core, 0, 1, 2))
    assert [(acked.user_id, acked.was_running) for acked in ack.durable] == [(user(0), False)]


def test_a_halt_while_the_input_is_prepared_is_durable_with_what_was_stored() -> None:
    core = connected()
    leased = batch(2)
    core.handle(ev.Leased(100.0, 130.0, leased))
    checkpoint = one(do.Checkpoint, halt(core, 0))
    assert checkpoint.computed == frozenset()
    offer = one(do.Offer, core.handle(ev.Prepared(leased.batch_id, 101.0, prepared(leased))))
    assert offer.halted == {user(0)}


def test_when_all_are_halted_before_the_input_is_there_it_is_no_longer_waited_for() -> None:
    core = connected()
    leased = batch(2)
    core.handle(ev.Leased(100.0, 130.0, leased))
    assert of(do.CancelPrepare, halt(core, 0, 1)) == [do.CancelPrepare()]
    assert of(do.SendReady, durable(core, 0, 1)) == [do.SendReady()]
    assert core.handle(ev.Prepared(leased.batch_id, 101.0, prepared(leased))) == []


def test_strangers_are_acknowledged_as_not_running() -> None:
    ack = one(do.SendAck, halt(connected(), 77))
    assert [acked.was_running for acked in (*ack.durable, *ack.left)] == [False, False]


def test_a_repeated_halt_is_answered_again() -> None:
    core = running()
    halt(core, 1)
    durable(core, 1)
    core.handle(ev.RowsLeft(101.03, (user(1),)))
    ack = one(do.SendAck, halt(core, 1, nonce="again"))
    assert (len(ack.durable), len(ack.left)) == (1, 1)
    assert ack.nonce == "again"


def test_everything_held_is_halted_by_all() -> None:
    core = running()
    instructions = core.handle(ev.HaltAsked(101.0, "n", None, HaltReason.PAUSED))
    assert one(do.Mask, instructions).users == (user(0), user(1), user(2))
    assert one(do.Checkpoint, instructions).reason is HaltReason.PAUSED


def test_a_halt_of_all_that_finds_nothing_is_acknowledged_too() -> None:
    instructions = connected().handle(ev.HaltAsked(101.0, "n", None, HaltReason.PAUSED))
    assert instructions == [do.SendAck("n")]


def test_acks_are_sent_before_the_report() -> None:
    core = running(1)
    halt(core, 0)
    core.handle(ev.RowsLeft(101.0, (user(0),)))
    closed(core)
    kinds = [type(instruction) for instruction in durable(core, 0)]
    assert kinds == [do.SendAck, do.SendEnd, do.SendReady]


def test_silence_halts_everything_and_nobody_waits_for_an_ack() -> None:
    core = running()
    core.handle(ev.Disconnected())
    instructions = core.handle(ev.Silent(103.0))
    assert one(do.Checkpoint, instructions).reason is HaltReason.SILENCE
    assert of(do.SendAck, instructions) == []
    durable(core, 0, 1, 2)
    core.handle(ev.RowsLeft(103.0, (user(0), user(1), user(2))))
    closed(core)
    assert core.handle(ev.Connected()) == [do.SendHello(())]


def test_a_new_stream_begins_with_what_is_held_and_keeps_what_is_still_ours() -> None:
    core = running()
    halt(core, 0)
    durable(core, 0)
    core.handle(ev.Disconnected())
    said = one(do.SendHello, core.handle(ev.Connected())).held
    assert {job.user_id for job in said} == {user(1), user(2)}
    kept = frozenset(job for job in said if job.user_id == user(2))
    assert one(do.Mask, core.handle(ev.Welcomed(kept))).users == (user(1),)
    one(do.Settle, done(core, 2))
    core.handle(ev.RowsOut(101.5, [(user(1), ev.Out.LEFT, b"")]))
    closed(core)
    report = one(do.SendEnd, settled(core, 2))
    assert (report.completed, report.lost) == ((user(2),), (user(1),))


def test_a_lost_row_that_is_halted_all_the_same_is_acknowledged() -> None:
    core = running()
    core.handle(ev.Disconnected())
    core.handle(ev.Connected())
    core.handle(ev.Welcomed(NONE_KEPT))
    ack = one(do.SendAck, halt(core, 0))
    assert [acked.was_running for acked in ack.durable] == [False]
    assert ack.left == ()
    left = one(do.SendAck, core.handle(ev.RowsLeft(101.1, (user(0),))))
    assert [acked.user_id for acked in left.left] == [user(0)]


def test_fenced_results_are_reported_as_lost() -> None:
    core = running(2)
    one(do.Settle, done(core, 0, 1))
    closed(core)
    report = one(
        do.SendEnd,
        core.handle(ev.Settled(102.0, [user(0), user(1)], frozenset({user(1)}), frozenset())),
    )
    assert (report.completed, report.lost) == ((user(1),), (user(0),))


def test_a_failed_row_is_failed_with_its_message_and_nobody_else_is() -> None:
    core = running(2)
    core.handle(ev.RowsOut(101.0, [(user(0), ev.Out.FAILED, "zu groß".encode())]))
    settle = one(do.Settle, done(core, 1))
    assert [(job.user_id, error) for job, error in settle.failures] == [(user(0), "zu groß")]
    assert [row.lease.user_id for row in settle.results] == [user(1)]
    closed(core)
    report = one(
        do.SendEnd,
        core.handle(
            ev.Settled(102.0, [user(0), user(1)], frozenset({user(1)}), frozenset({user(0)}))
        ),
    )
    assert report.failed == ((user(0), "zu groß"),)


def test_results_that_cannot_be_written_fail() -> None:
    core = running(2)
    one(do.Settle, done(core, 0, 1))
    again = one(do.Settle, core.handle(ev.SettleRefused([user(0), user(1)], "no such column")))
    assert again.results == []
    assert [error for _, error in again.failures] == ["no such column"] * 2


def test_without_a_database_results_wait_for_the_next_tick() -> None:
    core = running(2)
    one(do.Settle, done(core, 0, 1))
    assert core.handle(ev.SettleUnavailable([user(0), user(1)])) == []
    assert one(do.Settle, core.handle(ev.Ticked(102.0))).results[0].result == b"result"


def test_without_a_database_checkpoints_wait_for_the_next_tick() -> None:
    core = running(2)
    one(do.Checkpoint, halt(core, 0))
    assert of(do.Checkpoint, core.handle(ev.Ticked(102.0))) == []
    assert core.handle(ev.CheckpointUnavailable([held(0)])) == []
    assert one(do.Checkpoint, core.handle(ev.Ticked(103.0))).leases[0].user_id == user(0)


def test_results_are_committed_in_parts_while_others_are_computed() -> None:
    core = running(200)
    assert done(core, *range(SETTLE_AT - 1)) == []
    assert len(one(do.Settle, done(core, SETTLE_AT - 1)).results) == SETTLE_AT
    # One transaction at a time, and none so long that a halt would have to wait for it.
    assert done(core, *range(SETTLE_AT, 200)) == []
    assert len(one(do.Settle, settled(core, *range(SETTLE_AT))).results) == SETTLE_MOST


def test_a_lease_is_renewed_in_time_and_given_up_when_it_runs_out() -> None:
    core = running(lease_until=130.0)
    assert core.handle(ev.Ticked(105.0)) == []
    assert core.handle(ev.Ticked(111.0)) == [do.SendRenew(BatchId("b1"))]
    core.handle(ev.Renewed(BatchId("b1"), 160.0))
    assert of(do.Checkpoint, core.handle(ev.Ticked(131.0))) == []
    expired = one(do.Checkpoint, core.handle(ev.Ticked(160.0)))
    assert expired.reason is HaltReason.EXPIRED


def test_a_drain_checkpoints_all_ends_the_stream_and_takes_nothing_more() -> None:
    core = running(2)
    instructions = core.handle(ev.DrainAsked(101.0, leaving=True))
    assert one(do.Checkpoint, instructions).reason is HaltReason.DRAIN
    other = batch(1, batch_id="b2")
    assert core.handle(ev.Leased(101.0, 130.0, other)) == [do.GiveBack(other)]
    durable(core, 0, 1)
    core.handle(ev.RowsLeft(101.0, (user(0), user(1))))
    assert of(do.EndStream, closed(core)) == [do.EndStream()]
    core.handle(ev.Disconnected())
    core.handle(ev.Connected())
    assert core.handle(ev.Welcomed(NONE_KEPT)) == [do.EndStream()]


@pytest.mark.parametrize("drained_first", [True, False])
def test_a_drain_gives_back_results_that_could_not_be_kept(drained_first: bool) -> None:
    core = running(2)
    one(do.Settle, done(core, 0, 1))
    drain = ev.DrainAsked(101.5, leaving=True)
    away = ev.SettleUnavailable([user(0), user(1)])
    first, second = (drain, away) if drained_first else (away, drain)
    assert of(do.Checkpoint, core.handle(first)) == []
    given_back = one(do.Checkpoint, core.handle(second))
    assert [lease.user_id for lease in given_back.leases] == [user(0), user(1)]
    assert of(do.Settle, core.handle(ev.Ticked(102.0))) == []
    durable(core, 0, 1)
    assert of(do.EndStream, closed(core)) == [do.EndStream()]


def test_a_drain_of_the_scheduler_ends_with_its_stream() -> None:
    core = connected()
    assert core.handle(ev.DrainAsked(101.0, leaving=False)) == [do.EndStream()]
    core.handle(ev.Disconnected())
    core.handle(ev.Connected())
    assert core.handle(ev.Welcomed(NONE_KEPT)) == [do.SendReady()]


def test_a_second_batch_is_given_back() -> None:
    core = running()
    other = batch(1, batch_id="b2")
    assert core.handle(ev.Leased(101.0, 130.0, other)) == [do.GiveBack(other)]


def test_giving_a_batch_back_is_no_news_of_the_one_in_flight() -> None:
    core = running()
    halt(core, 0)
    other = held(0, token=99)
    assert core.handle(ev.Checkpointed(101.0, [other], {other: JobToken(100)})) == []
    assert len(one(do.SendAck, durable(core, 0)).durable) == 1


def test_a_batch_that_cannot_be_prepared_fails() -> None:
    core = connected()
    leased = batch(2)
    core.handle(ev.Leased(100.0, 130.0, leased))
    failed = core.handle(ev.PrepareFailed(leased.batch_id, 100.5, "no market"))
    assert [error for _, error in one(do.Settle, failed).failures] == ["no market"] * 2


def test_people_who_need_no_computing_are_completed_at_once() -> None:
    core = connected()
    leased = batch(3)
    core.handle(ev.Leased(100.0, 130.0, leased))
    all_settled = PreparedBatch(
        spec=None, users=(), settled=tuple(job.user_id for job in leased.leases)
    )
    settle = one(do.Settle, core.handle(ev.Prepared(leased.batch_id, 100.5, all_settled)))
    assert [row.result for row in settle.results] == [None] * 3
    assert one(do.SendEnd, settled(core, 0, 1, 2)).completed == (user(0), user(1), user(2))


def test_a_batch_that_cannot_be_opened_fails() -> None:
    core = running(2)
    settle = one(do.Settle, closed(core, error="ImportError: no such program"))
    assert [error for _, error in settle.failures] == ["ImportError: no such program"] * 2


def test_a_child_that_keeps_dying_costs_its_batch_and_then_the_worker() -> None:
    core = running(2)
    for _ in range(DEATHS_MOST - 1):
        assert core.handle(ev.ChildDied(101.0, -11)) == [do.StartChild()]
    instructions = core.handle(ev.ChildDied(101.0, -11))
    assert one(do.Mask, instructions).users == (user(0), user(1))
    assert "-11" in one(do.Settle, instructions).failures[0][1]
    assert of(do.StartChild, instructions) == [do.StartChild()]
    assert len(of(do.GiveUp, core.handle(ev.ChildDied(101.0, -11)))) == 1


def test_a_clock_that_leapt_once_ends_no_lease_once_it_is_right() -> None:
    core = WorkerCore()
    core.handle(ev.Connected())
    core.handle(ev.Welcomed(NONE_KEPT))
    core.handle(ev.Ticked(3700.0))
    core.handle(ev.Leased(100.0, 130.0, batch(3)))
    assert not [each for each in core.handle(ev.Ticked(101.0)) if isinstance(each, do.Checkpoint)]


def test_what_cannot_be_prepared_just_now_is_given_back_at_the_next_tick() -> None:
    """An outage is nobody's failure; and nobody asks for the same batch all the time."""
    core = connected()
    leased = batch(3)
    core.handle(ev.Leased(100.0, 130.0, leased))
    assert core.handle(ev.PrepareUnavailable(leased.batch_id, 100.1)) == []
    back = one(do.Checkpoint, core.handle(ev.Ticked(101.0)))
    assert back.reason is HaltReason.UNAVAILABLE
    assert [job.user_id for job in back.leases] == [user(0), user(1), user(2)]
    report, ready = durable(core, 0, 1, 2)
    assert isinstance(report, do.SendEnd)
    assert (report.completed, report.failed) == ((), ())
    assert ready == do.SendReady()


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: each job ends once, each halt is acknowledged."""

    ROWS = 4

    def __init__(self) -> None:
        super().__init__()
        self.core = WorkerCore()
        self.at = 100.0
        self.masked: set[UserId] = set()
        self.offered = False
        self.open = False
        self.checkpointing: list[Held] = []
        self.settling: list[UserId] = []
        self.ended: set[UserId] = set()
        self.owed: dict[str, tuple[set[UserId], set[UserId]]] = {}
        self.batches = 0
        self.leased: LeasedBatch | None = None

    @initialize()
    def connect(self) -> None:
        self.give(ev.Connected())
        self.give(ev.Welcomed(NONE_KEPT))

    def give(self, event: ev.Event) -> None:
        for found in self.core.handle(event):
            match found:
                case do.Prepare(leased):
                    self.leased = leased
                    self.ended, self.masked = set(), set()
                case do.Offer():
                    self.offered = self.open = True
                    self.masked |= found.halted
                case do.Mask(users):
                    self.masked |= set(users)
                case do.Checkpoint():
                    self.checkpointing += [
                        Held(job.user_id, found.kind, job.token) for job in found.leases
                    ]
                case do.Settle():
                    assert self.settling == []
                    self.settling = [row.lease.user_id for row in found.results]
                    self.settling += [job.user_id for job, _ in found.failures]
                case do.SendAck():
                    pending, leaving = self.owed.setdefault(found.nonce, (set(), set()))
                    for acked in found.durable:
                        pending.remove(acked.user_id)
                    for acked in found.left:
                        leaving.remove(acked.user_id)
                case do.SendEnd():
                    assert not self.open
                    assert self.settling == self.checkpointing == []
                    self.leased, self.offered = None, False
                case _:
                    pass

    def end(self, users: Iterable[UserId]) -> None:
        for ended in users:
            assert ended not in self.ended, "ended twice"
            self.ended.add(ended)

    @precondition(lambda self: self.core.flight is None)
    @rule()
    def lease(self) -> None:
        self.batches += 1
        self.give(ev.Leased(self.at, self.at + 1e6, batch(self.ROWS, batch_id=str(self.batches))))

    @precondition(lambda self: self.preparing())
    @rule()
    def prepare(self) -> None:
        assert self.leased is not None
        self.give(ev.Prepared(self.leased.batch_id, self.at, prepared(self.leased)))

    @precondition(lambda self: self.preparing())
    @rule()
    def find_nothing_to_read(self) -> None:
        assert self.leased is not None
        self.give(ev.PrepareUnavailable(self.leased.batch_id, self.at))
        self.give(ev.Ticked(self.at))

    def preparing(self) -> bool:
        return self.core.flight is not None and self.core.flight.preparing

    @rule(rows=st.sets(st.integers(0, ROWS), min_size=1))
    def wake(self, rows: set[int]) -> None:
        nonce = f"n{len(self.owed)}"
        users = {user(row) for row in rows}
        self.owed[nonce] = (set(users), set(users))
        self.give(ev.HaltAsked(self.at, nonce, tuple(users), HaltReason.WOKE))

    @rule()
    def fall_silent(self) -> None:
        self.give(ev.Silent(self.at))

    @rule()
    def tick(self) -> None:
        self.give(ev.Ticked(self.at))

    @precondition(lambda self: bool(self.checkpointing))
    @rule(there=st.booleans())
    def commit_checkpoints(self, there: bool) -> None:
        jobs, self.checkpointing = self.checkpointing, []
        if there:
            self.end(job.user_id for job in jobs)
            self.give(ev.Checkpointed(self.at, jobs, {job: JobToken(8) for job in jobs}))
        else:
            self.give(ev.CheckpointUnavailable(jobs))
            self.give(ev.Ticked(self.at))

    @precondition(lambda self: bool(self.settling))
    @rule(there=st.booleans())
    def commit_results(self, there: bool) -> None:
        users, self.settling = self.settling, []
        if there:
            self.end(users)
            self.give(ev.Settled(self.at, users, frozenset(users), frozenset()))
        else:
            self.give(ev.SettleUnavailable(users))
            self.give(ev.Ticked(self.at))

    @precondition(lambda self: self.open)
    @rule(row=st.integers(0, ROWS - 1), how=st.sampled_from([ev.Out.DONE, ev.Out.FAILED]))
    def finish(self, row: int, how: ev.Out) -> None:
        who = user(row)
        row_state = self.core.flight.rows[who] if self.core.flight else None
        if row_state is not None and row_state.computing:
            self.give(ev.RowsOut(self.at, [(who, how, b"")]))

    @precondition(lambda self: self.open)
    @rule()
    def leave(self) -> None:
        self.give(ev.RowsLeft(self.at, tuple(self.masked)))

    @precondition(lambda self: self.open)
    @rule()
    def die(self) -> None:
        self.give(ev.Overstayed())
        self.give(ev.ChildDied(self.at, -9))

    @precondition(lambda self: self.open)
    @rule()
    def close(self) -> None:
        flight = self.core.flight
        assert flight is not None
        if not any(row.computing for row in flight.rows.values()):
            self.open = False
            self.give(ev.BatchClosed(self.at, "", 0.1))

    @invariant()
    def nobody_halted_is_computed_unmasked(self) -> None:
        flight = self.core.flight
        if flight is not None:
            for who, row in flight.rows.items():
                if row.computing and row.stage is not Stage.RUNNING:
                    assert who in self.masked

    def teardown(self) -> None:
        """Let everything come to its end: nothing may be left over."""
        if self.preparing():
            self.prepare()
        for _ in range(3):
            if self.open:
                self.leave()
                for row in range(self.ROWS):
                    self.finish(row, ev.Out.DONE)
                self.close()
            while self.checkpointing or self.settling:
                if self.checkpointing:
                    self.commit_checkpoints(there=True)
                if self.settling:
                    self.commit_results(there=True)
        assert self.core.flight is None
        assert all(not pending and not leaving for pending, leaving in self.owed.values())


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)


@pytest.mark.parametrize("kind", list(JobKind))
def test_every_kind_has_the_number_of_the_protocol(kind: JobKind) -> None:
    from eros.scheduler.v1 import work_pb2

    assert work_pb2.JobKind.Name(work_pb2.JobKind.ValueType(kind)) == f"JOB_KIND_{kind.name}"


def test_a_deleted_persons_row_was_stopped_by_the_halt_though_its_fence_is_gone() -> None:
    core = running()
    users = (user(1),)
    said = core.handle(ev.HaltAsked(101.0, "n1", users, HaltReason.DELETED))
    assert one(do.Mask, said) == do.Mask(users)
    ack = one(do.SendAck, core.handle(ev.Checkpointed(101.02, [held(1)], {})))
    assert [(acked.user_id, acked.was_running) for acked in ack.durable] == [(user(1), True)]
