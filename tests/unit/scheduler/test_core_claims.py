"""What a free worker is given, in which order, and what is kept from it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from eros_common.phases import Phase
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import ANYWHERE, ClaimId, JobKind, Zone
from tests.unit.scheduler.rig import (
    ALWAYS,
    BERLIN,
    NIGHT,
    W1,
    W2,
    Rig,
    all_of,
    none,
    one,
    person,
    row,
)

ANALYZE, SCORE, MATCH = JobKind.ANALYZE, JobKind.SCORE, JobKind.MATCH
PREPARE = JobKind.PREPARE


def at(hour: int, minute: int = 0) -> datetime:
    """In Berlin, in the night to January 2nd."""
    day = 1 if hour > 12 else 2
    return datetime(2026, 1, day, hour, minute, tzinfo=UTC) - timedelta(hours=1)


def test_a_ready_worker_triggers_a_claim_at_once() -> None:
    claim = Rig().free()
    assert [attempt.kind for attempt in claim.attempts] == [MATCH, PREPARE, SCORE, ANALYZE]
    assert {attempt.zones for attempt in claim.attempts} == {(BERLIN,)}
    assert [attempt.limit for attempt in claim.attempts] == [250, 250, 100, 20]


@pytest.mark.parametrize(
    ("night", "open_kinds"),
    [
        (at(22, 59), set()),
        (at(23), {ANALYZE}),
        (at(1, 59), {ANALYZE}),
        (at(2), {ANALYZE, SCORE}),
        (at(5), {ANALYZE, SCORE, MATCH, PREPARE}),
        (at(6, 59), {ANALYZE, SCORE, MATCH, PREPARE}),
        (at(7), set()),
    ],
)
def test_the_window_opens_kind_after_kind(night: datetime, open_kinds: set[JobKind]) -> None:
    claim = Rig(night=night).free()
    assert {a.kind for a in claim.attempts if a.zones} == open_kinds
    # Whoever the window does not hold back is looked for at any time.
    assert {a.kind for a in claim.attempts} == {ANALYZE, SCORE, MATCH, PREPARE}


def test_zones_that_close_first_come_first() -> None:
    rig = Rig(night=datetime(2026, 1, 2, 5, 30, tzinfo=UTC))
    rig.post(an.ZonesKnown([Zone("Europe/London"), BERLIN, Zone("Asia/Tokyo"), Zone("")]))
    attempts = {a.kind: a.zones for a in rig.free().attempts}
    assert attempts[MATCH] == (BERLIN, Zone(""), Zone("Europe/London"))


def test_a_zone_nobody_knows_counts_as_the_default() -> None:
    rig = Rig()
    rig.post(an.ZonesKnown([Zone("Mars/Olympus")]))
    assert Zone("Mars/Olympus") in rig.core.state.windows.open_for(Phase.SECOND)


def test_a_worker_is_only_asked_for_what_it_can() -> None:
    rig = Rig()
    rig.connect(W1, kinds=frozenset({ANALYZE, PREPARE}))
    claim = one(do.Claim, rig.ready())
    assert [a.kind for a in claim.attempts] == [PREPARE, ANALYZE]


def test_what_was_not_tried_for_long_is_tried_first() -> None:
    rig = Rig(ageing_seconds=60)
    rig.lease(row(1, MATCH))
    rig.pass_time(30)
    rig.post(an.Claimed(rig.free(W2).claim, (MATCH, PREPARE, SCORE), [], 0))
    rig.pass_time(31)
    rig.end()
    claim = one(do.Claim, rig.ready())
    assert [a.kind for a in claim.attempts] == [ANALYZE, MATCH, PREPARE, SCORE]


def next_claim(rig: Rig, claim: do.Claim, batch: int) -> do.Claim:
    """The claim that follows a batch of so many analyses."""
    kinds = [attempt.kind for attempt in claim.attempts]
    tried = tuple(kinds[: kinds.index(ANALYZE) + 1])
    rows = [row(number, ANALYZE) for number in range(batch)]
    one(do.SendLease, rig.post(an.Claimed(claim.claim, tried, rows, rig.wall + 30)))
    rig.end()
    return one(do.Claim, rig.ready())


def test_full_batches_keep_a_worker_at_their_kind_for_a_stint() -> None:
    rig = Rig(stint_seconds=5)
    claim = rig.free()
    for _ in range(4):
        claim = next_claim(rig, claim, 20)
        assert [a.kind for a in claim.attempts] == [ANALYZE, MATCH, PREPARE, SCORE]
        rig.pass_time(1)
    assert claim.attempts[0].kind is ANALYZE
    # A claim that was made just before the end begins no other stint.
    rig.pass_time(1)
    claim = next_claim(rig, claim, 20)
    assert [a.kind for a in claim.attempts] == [MATCH, PREPARE, SCORE, ANALYZE]


def test_a_batch_that_was_not_full_ends_a_stint() -> None:
    rig = Rig(stint_seconds=5)
    claim = next_claim(rig, rig.free(), 20)
    claim = next_claim(rig, claim, 19)
    assert [a.kind for a in claim.attempts] == [MATCH, PREPARE, SCORE, ANALYZE]


def test_a_lease_says_when_it_is_due_again_and_which_list_it_makes() -> None:
    lease = Rig().lease(row(1, MATCH, token=7))
    (leased,) = lease.leases
    assert (leased.user_id, leased.token) == (person(1), 7)
    assert leased.next_due_at == datetime(2026, 1, 2, 22, tzinfo=UTC)
    assert leased.list_date == date(2026, 1, 2)
    assert (lease.kind, lease.cpu_cap, lease.night_now) == (MATCH, 0.95, NIGHT)


@pytest.mark.parametrize(
    ("night", "list_date", "next_due"),
    [
        # Clocks go forward in Berlin at 02:00 on March 29th, back at 03:00 on October 25th.
        ("2026-03-29T00:30Z", date(2026, 3, 29), "2026-03-29T21:00Z"),
        ("2026-03-28T22:30Z", date(2026, 3, 29), "2026-03-29T21:00Z"),
        ("2026-10-25T01:30Z", date(2026, 10, 25), "2026-10-25T22:00Z"),
        ("2026-10-24T20:59Z", date(2026, 10, 24), "2026-10-24T21:00Z"),
    ],
)
def test_nights_on_which_the_clocks_change(night: str, list_date: date, next_due: str) -> None:
    rig = Rig(night=datetime.fromisoformat(night))
    (leased,) = rig.lease(row(1, ANALYZE, solo_at=ALWAYS)).leases
    assert leased.list_date == list_date
    assert leased.next_due_at == datetime.fromisoformat(next_due)


def test_nothing_found_leaves_the_worker_ready_for_the_next_tick() -> None:
    rig = Rig()
    none(do.SendLease, rig.claimed(rig.free()))
    one(do.Claim, rig.post(ev.Ticked()))


def test_one_claim_at_a_time_and_one_batch_at_a_time() -> None:
    rig = Rig()
    claim = rig.free()
    none(do.Claim, rig.post(ev.Ticked()))
    rig.claimed(claim, row(1))
    none(do.Claim, rig.post(ev.Ticked()))
    none(do.Claim, rig.end())
    one(do.Claim, rig.ready())


def test_a_failed_claim_is_tried_again_at_the_tick() -> None:
    rig = Rig()
    claim = rig.free()
    assert rig.post(an.ClaimFailed(claim.claim)) == []
    again = one(do.Claim, rig.post(ev.Ticked()))
    assert again.claim != claim.claim


def test_whoever_woke_since_the_claim_began_is_dropped_before_dispatch() -> None:
    rig = Rig()
    claim = rig.free()
    rig.wake(2)
    said = rig.claimed(claim, row(1), row(2), row(3))
    assert [lease.user_id for lease in one(do.SendLease, said).leases] == [person(1), person(3)]
    assert one(do.Release, said).jobs == (row(2).job,)


def test_whoever_woke_before_the_claim_but_sleeps_in_the_rows_is_dropped() -> None:
    rig = Rig()
    (projected,) = all_of(do.Project, rig.wake(2))
    claim = rig.free()
    # The rows learn of it while the claim is under way; it may have seen them as they were.
    rig.post(an.WakesApplied(projected.transitions, ()))
    said = rig.claimed(claim, row(1), row(2))
    assert one(do.Release, said).jobs == (row(2).job,)
    # From then on the rows are the truth.
    assert not rig.core.state.waking
    rig.end()
    assert len(one(do.SendLease, rig.claimed(one(do.Claim, rig.ready()), row(2))).leases) == 1


def test_a_newer_wake_outlives_the_answer_to_an_older_one() -> None:
    rig = Rig()
    (first,) = all_of(do.Project, rig.wake(2))
    rig.pass_time(700)
    rig.wake(2)
    rig.post(an.WakesApplied(first.transitions, ()))
    said = rig.claimed(rig.free(), row(2))
    none(do.SendLease, said)
    assert one(do.Release, said).jobs == (row(2).job,)


def test_rows_whose_window_closed_meanwhile_are_given_back() -> None:
    rig = Rig(night=at(6, 59))
    claim = rig.free()
    rig.pass_time(61)
    said = rig.claimed(claim, row(1), row(2, solo_at=ALWAYS))
    assert [lease.user_id for lease in one(do.SendLease, said).leases] == [person(2)]
    assert one(do.Release, said).jobs == (row(1).job,)


def test_rows_for_a_worker_that_is_gone_are_given_back() -> None:
    rig = Rig()
    claim = rig.free()
    rig.connect(W1)
    said = rig.claimed(claim, row(1))
    none(do.SendLease, said)
    assert one(do.Release, said).jobs == (row(1).job,)


def test_a_draining_scheduler_gives_nothing_out() -> None:
    rig = Rig()
    claim = rig.free()
    assert one(do.SendDrain, rig.post(ev.DrainAsked(5.0))).grace_seconds == 5.0
    one(do.Release, rig.claimed(claim, row(1)))
    none(do.Claim, rig.post(ev.Ticked()))
    one(do.SendDrain, rig.connect(W2))


def test_new_zones_are_claimed_from_at_once() -> None:
    rig = Rig()
    rig.claimed(rig.free())
    assert rig.post(an.ZonesKnown([BERLIN])) == []
    claim = one(do.Claim, rig.post(an.ZonesKnown([BERLIN, Zone("Europe/Paris")])))
    assert isinstance(claim.claim, int)
    assert ClaimId(claim.claim) in rig.core.state.claims


def test_nobodys_work_may_run_as_soon_as_a_window_is_open_anywhere() -> None:
    rig = Rig(watching=False)
    windows = rig.core.state.windows
    rig.post(an.ZonesKnown([ANYWHERE]))
    assert windows.cap(ANYWHERE, NIGHT) is Phase.SECOND
    assert ANYWHERE not in windows.open_for(Phase.THIRD)
    assert windows.opens(ANYWHERE, NIGHT, Phase.THIRD) == NIGHT + timedelta(minutes=30)
    rig.post(an.ZonesKnown([BERLIN]))
    assert windows.cap(ANYWHERE, NIGHT) is Phase.THIRD
    assert windows.open_for(Phase.THIRD) == (BERLIN, ANYWHERE)
    assert windows.opens(ANYWHERE, NIGHT, Phase.THIRD) == NIGHT
