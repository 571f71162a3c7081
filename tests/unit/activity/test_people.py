"""Idle time, phase and session of one person; who may be forgotten."""

from __future__ import annotations

import pytest

from eros_activity.domain.people import Counts, Rules, Seen
from eros_common.phases import IdleThresholds, Phase

RULES = Rules(IdleThresholds(), session_end=600.0, forget_after=86400.0)


@pytest.mark.parametrize(
    ("idle", "phase", "session"),
    [
        (0, Phase.AWAKE, 100),
        (599.9, Phase.AWAKE, 699.9),
        (600, Phase.FIRST, 0),
        (1800, Phase.SECOND, 0),
        (3600, Phase.THIRD, 0),
        (-5, Phase.AWAKE, 95),
    ],
)
def test_by_idle_time(idle: float, phase: Phase, session: float) -> None:
    seen = Seen(last_seen=1100.0, session_start=1000.0)
    now = 1100.0 + idle
    assert seen.idle(now) == pytest.approx(max(0.0, idle))
    assert seen.phase(now, RULES) is phase
    assert seen.session_duration(now, RULES) == pytest.approx(session)


def test_no_session() -> None:
    assert Seen(1100.0, None).session_duration(1101.0, RULES) == 0.0
    # By clocks that disagree a session may begin in the future.
    assert Seen(1100.0, 1200.0).session_duration(1101.0, RULES) == 0.0


def test_counts_add_up() -> None:
    both = Counts(1, 2, 3, 4, 5) + Counts(10, 20, 30, 40, 50)
    assert both == Counts(11, 22, 33, 44, 55)
    assert both.known == 110


@pytest.mark.parametrize(("session_end", "forget_after"), [(0, 86400), (600, 600), (600, 3600)])
def test_rules_that_contradict_themselves(session_end: float, forget_after: float) -> None:
    with pytest.raises(ValueError, match=r"must|may"):
        Rules(IdleThresholds(), session_end, forget_after)
