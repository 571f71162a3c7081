"""Each reason for which a job does not run has its word, and the time when it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from eros_common.ids import JobToken, WorkerId
from eros_scheduler.core import answers as an
from eros_scheduler.core import events as ev
from eros_scheduler.core.model import JobKind, Zone
from eros_scheduler.explaining import Explanation, Standing, explain
from eros_scheduler.ports import JobState, JobView
from tests.unit.scheduler.rig import BERLIN, NEVER, NIGHT, W1, Rig, person

HOUR = timedelta(hours=1)
READY = JobView(
    user_id=person(1),
    kind=JobKind.MATCH,
    state=JobState.QUEUED,
    due_at=NIGHT - HOUR,
    asleep_since=NIGHT - 2 * HOUR,
    lease_until=None,
    owner=None,
    attempts=0,
    last_error=None,
    zone=BERLIN,
    token=JobToken(3),
    has_checkpoint=False,
    rested_at=NIGHT - HOUR,
    solo_at=NEVER,
    back_at=None,
    last_halt=None,
)


def said(job: JobView, *siblings: JobView, rig: Rig | None = None) -> Explanation:
    if rig is None:
        rig = Rig()
        rig.connect(W1)
    return explain(job, [job, *siblings], rig.core.state, rig.now)


def test_the_next_free_worker_takes_what_is_ready() -> None:
    assert said(READY).standing is Standing.READY


def test_what_a_worker_has() -> None:
    until = NIGHT + HOUR
    leased = replace(READY, state=JobState.LEASED, owner=WorkerId("w7"), lease_until=until)
    found = said(leased)
    assert (found.standing, found.until) == (Standing.RUNNING, until)
    assert "w7" in found.why


def test_what_is_done_and_what_waits_for_the_match() -> None:
    later = NIGHT + 18 * HOUR
    assert said(replace(READY, due_at=later)) == Explanation(
        Standing.NOT_DUE, "done for tonight", later
    )
    prepare = replace(READY, kind=JobKind.PREPARE, due_at=None)
    assert said(prepare) == Explanation(Standing.NOT_DUE, "due when the match is done")


def test_whoever_is_awake_or_idle_too_shortly() -> None:
    awake = replace(READY, asleep_since=None, rested_at=None)
    assert said(awake).standing is Standing.AWAKE
    ripe = NIGHT + HOUR / 2
    found = said(replace(READY, asleep_since=ripe - HOUR, rested_at=ripe))
    assert (found.standing, found.until) == (Standing.NOT_IDLE_ENOUGH, ripe)
    assert "30 min" in found.why


def test_a_closed_window_says_when_it_opens_for_this_phase() -> None:
    noon = Rig(night=datetime(2026, 1, 2, 11, tzinfo=UTC))
    noon.connect(W1)
    found = said(READY, rig=noon)
    # 05:00 in Berlin.
    assert (found.standing, found.until) == (
        Standing.WINDOW_CLOSED,
        datetime(2026, 1, 3, 4, tzinfo=UTC),
    )
    assert said(replace(READY, solo_at=NIGHT), rig=noon).standing is Standing.READY
    always = replace(READY, zone=Zone(""), solo_at=None)
    assert said(always, rig=noon).standing is Standing.WINDOW_CLOSED


def test_an_earlier_job_comes_first_unless_it_is_dead() -> None:
    analyze = replace(READY, kind=JobKind.ANALYZE)
    found = said(READY, analyze)
    assert (found.standing, found.why) == (
        Standing.BEHIND_ANOTHER,
        "analyze of the same person comes first",
    )
    assert said(READY, replace(analyze, state=JobState.DEAD)).standing is Standing.READY
    assert said(analyze, READY).standing is Standing.READY
    running = replace(READY, kind=JobKind.PREPARE, state=JobState.LEASED)
    assert said(READY, running).standing is Standing.BEHIND_ANOTHER


def test_failures_and_what_was_given_up() -> None:
    back = NIGHT + HOUR
    failed = replace(READY, attempts=2, last_error="no photo", back_at=back)
    found = said(replace(failed, state=JobState.BACKING_OFF))
    assert (found.standing, found.until) == (Standing.BACKING_OFF, back)
    assert "2 times" in found.why
    assert "no photo" in found.why
    assert said(replace(failed, state=JobState.DEAD)).standing is Standing.DEAD


def test_nothing_is_leased_in_the_dark() -> None:
    rig = Rig()
    rig.connect(W1)
    rig.post(ev.PauseAsked(rig.wall + 60, "entries lost"))
    found = said(READY, rig=rig)
    assert (found.standing, found.why) == (Standing.PAUSED, "entries lost")
    assert found.until == datetime.fromtimestamp(rig.wall + 60, UTC)
    assert said(READY, rig=Rig(watching=False)).standing is Standing.PAUSED


def test_somebody_must_be_able_to_do_it_and_enough_people_asleep() -> None:
    rig = Rig()
    rig.post(an.ZonesKnown([Zone("")]))
    learn = replace(READY, kind=JobKind.LEARN, zone=BERLIN)
    assert said(learn, rig=rig).standing is Standing.NO_WORKER
    rig.connect(W1, kinds=frozenset({JobKind.LEARN}))
    assert said(learn, rig=rig).standing is Standing.FEW_SLEEP
    rig.post(an.AsleepKnown(0.5))
    assert said(learn, rig=rig).standing is Standing.READY
