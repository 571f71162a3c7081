"""Time goes on, or it is said that it does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from eros_cli.simulation import loop as loop_module
from eros_cli.simulation.loop import Loop, StandsStill


def test_a_circle_of_events_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "AT_ONCE", 1000)
    loop = Loop(datetime(2026, 10, 24, tzinfo=UTC))

    def again() -> None:
        loop.after(0.0, again)

    loop.at(5.0, again)
    with pytest.raises(StandsStill, match=r"1,000 events at 5\.0 s"):
        loop.run(10.0)


def test_a_crowd_at_each_moment_is_no_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "AT_ONCE", 1000)
    loop = Loop(datetime(2026, 10, 24, tzinfo=UTC))
    for moment in range(10):
        for _ in range(900):
            loop.at(float(moment), lambda: None)
    loop.run(10.0)
    assert loop.steps == 9000
