"""What is nobody's makes room for people."""

from __future__ import annotations

import pytest

from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core import instructions as do
from eros_scheduler.core.model import PERSONAL, RULES, HaltReason, JobKind
from tests.unit.scheduler.rig import W1, W2, Rig, none, one, row

LEARN = JobKind.LEARN
EVERYTHING = frozenset(JobKind)
RULE = RULES[LEARN]


def learning(rig: Rig) -> do.SendLease:
    """The model is with the first worker."""
    rig.connect(W1, kinds=EVERYTHING)
    rig.post(an.AsleepKnown(1.0))
    return one(do.SendLease, rig.claimed(one(do.Claim, rig.ready()), row(0, LEARN)))


def kinds(claim: do.Claim) -> list[JobKind]:
    return [attempt.kind for attempt in claim.attempts]


def test_it_is_looked_for_last_and_only_while_enough_people_sleep() -> None:
    rig = Rig()
    rig.connect(W1, kinds=EVERYTHING)
    one(do.LookWhoSleeps, rig.post(ev.Ticked()))
    first = one(do.Claim, rig.ready())
    assert set(kinds(first)) == set(PERSONAL), "how many sleep is not known yet"
    rig.claimed(first)
    rig.post(an.AsleepKnown(RULE.asleep_share))
    assert kinds(one(do.Claim, rig.post(ev.Ticked())))[-1] is LEARN
    rig.connect(W2, kinds=EVERYTHING)
    rig.post(an.AsleepKnown(RULE.asleep_share * 0.99))
    assert LEARN not in kinds(one(do.Claim, rig.ready(W2)))


def test_nobody_looks_where_no_worker_learns() -> None:
    rig = Rig()
    rig.connect(W1, kinds=frozenset(PERSONAL))
    none(do.LookWhoSleeps, rig.post(ev.Ticked()))


def test_it_stops_when_few_sleep_but_not_at_every_wave() -> None:
    rig = Rig()
    assert learning(rig).kind is LEARN
    assert rig.post(an.AsleepKnown(RULE.asleep_share * 0.6)) == []
    halt = one(do.SendHalt, rig.post(an.AsleepKnown(RULE.asleep_share * 0.4)))
    assert halt.reason is HaltReason.YIELDED
    assert rig.post(an.AsleepKnown(0.0)) == [], "it is told once"


def test_people_are_not_halted_by_it() -> None:
    rig = Rig()
    rig.lease(row(1))
    none(do.SendHalt, rig.post(an.AsleepKnown(0.0)))
    rig.pass_time(RULE.turn_seconds)
    none(do.SendHalt, rig.post(ev.Ticked()))


@pytest.mark.parametrize("returned", [False, True])
def test_its_turn_ends(returned: bool) -> None:
    rig = Rig()
    learning(rig)
    if returned:
        rig.connect(W1, row(0, LEARN), kinds=EVERYTHING)
    rig.pass_time(RULE.turn_seconds - 1)
    none(do.SendHalt, rig.post(ev.Ticked()))
    rig.pass_time(1)
    halt = one(do.SendHalt, rig.post(ev.Ticked()))
    assert halt.reason is HaltReason.YIELDED


def test_between_turns_people_go_first_until_it_has_rested() -> None:
    rig = Rig()
    learning(rig)
    rig.pass_time(RULE.turn_seconds)
    rig.ack(one(do.SendHalt, rig.post(ev.Ticked())))
    rig.end(completed=0)
    claim = one(do.Claim, rig.ready())
    assert kinds(claim)[-1] is LEARN
    rig.claimed(claim, row(1))
    rig.pass_time(RULE.rest_seconds - 1)
    rig.end()
    rig.claimed(one(do.Claim, rig.ready()))
    assert RULE.rest_seconds == pytest.approx(180)


def test_after_its_rest_it_goes_first_once() -> None:
    rig = Rig()
    learning(rig)
    rig.pass_time(RULE.turn_seconds)
    rig.ack(one(do.SendHalt, rig.post(ev.Ticked())))
    rig.end(completed=0)
    claim = one(do.Claim, rig.ready())
    # People's work is found before it is looked for at all.
    rig.post(an.Claimed(claim.claim, (JobKind.MATCH,), (row(1),), rig.wall + 30))
    rig.pass_time(RULE.rest_seconds)
    rig.end()
    assert LEARN in kinds(one(do.Claim, rig.ready()))[:4]


def test_whoever_turns_it_down_leaves_it_to_others_for_a_while() -> None:
    """The host that began to learn has it, and others give it back at once. Whoever does is free
    first, and would have it again before anybody else hears of it."""
    rig = Rig()
    learning(rig)
    rig.pass_time(1)
    rig.end(completed=0)
    again = one(do.Claim, rig.ready())
    assert set(kinds(again)) == set(PERSONAL)
    rig.claimed(again, row(1))
    rig.connect(W2, kinds=EVERYTHING)
    assert LEARN in kinds(one(do.Claim, rig.ready(W2)))
    rig.pass_time(rig.core.state.settings.ageing_seconds)
    rig.end()
    assert LEARN in kinds(one(do.Claim, rig.ready()))


def test_a_turn_that_was_halted_is_not_turned_down() -> None:
    rig = Rig()
    learning(rig)
    one(do.SendHalt, rig.post(an.AsleepKnown(0.0)))
    rig.end(completed=0)  # before what it says of the halt
    rig.post(an.AsleepKnown(1.0))
    assert kinds(one(do.Claim, rig.ready()))[-1] is LEARN
