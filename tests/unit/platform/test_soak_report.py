"""A soak's report says what did not hold."""

from __future__ import annotations

import json

import pytest

from eros_cli.operations.soak_report import Footprint, Halt, Report


def test_all_held() -> None:
    report = Report(seed=1)
    report.footprints["accounts"] = [Footprint([50.0] * 30, [20] * 30)]
    report.halts = [Halt("woke", 9.0, 12.0, 15.0, False), Halt("paused", 9.0, 3.0, None, False)]
    summary = report.summary()
    assert summary["held"] is True
    assert summary["durableMs"] == {"n": 1, "p50": 12.0, "p99": 12.0, "max": 12.0}
    json.dumps(summary)


def test_growth_is_seen_after_warming_up() -> None:
    report = Report(seed=1)
    warming = [float(min(100, 10 * n)) for n in range(30)]
    report.footprints["activity"] = [Footprint(warming, [10] * 30)]
    assert report.grown() == {}
    leaking = [50.0 + 10 * n for n in range(30)]
    report.footprints["scheduler"] = [Footprint([40.0] * 30, [9] * 30), Footprint(leaking, [])]
    assert report.grown().keys() == {"scheduler"}
    report.footprints["worker-1"] = [Footprint([], [10 + 8 * n for n in range(30)])]
    assert "files" in report.grown()["worker-1"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jobs_lost": ["rows of somebody"]}, "1 jobs lost"),
        ({"unexpected": ["500 GET /users/profile"]}, "1 unexpected: 500 GET"),
        ({"doubled": 2}, "2 results doubled"),
        ({"writes_lost": ["bio of somebody"]}, "1 writes lost"),
    ],
)
def test_what_did_not_hold_is_named(change: dict[str, object], said: str) -> None:
    report = Report(seed=1)
    for name, value in change.items():
        setattr(report, name, value)
    [line] = report.broken()
    assert said in line
    assert report.summary()["held"] is False


def test_a_late_halt_is_excused_by_what_was_broken_then_only() -> None:
    report = Report(seed=1)
    report.halts = [Halt("woke", at, 20.0, 700.0, False) for at in (10.0, 100.0, 200.0)]
    report.faulty = [(10.5, 12.0), (197.0, 199.0)]
    assert [halt.at for halt in report.late_halts()] == [100.0]
    assert report.broken() == ["1 halts over 500 ms with nothing broken"]
